"""clouds.yaml: how the official clients log in, as admin, as the service and as a user."""

import msgspec

from hydria.base.config import Config

LOGINS = {"admin": ("admin", "admin"), "service": ("hydria", "service"), "demo": ("demo", "demo")}
"""Cloud → user and project. Private compute flavors of amphorae are made in `service`."""


def clouds_yaml(config: Config) -> str:
    """JSON, which is YAML: no quoting rules to get wrong."""
    clouds = {
        cloud: {
            "auth": {
                "auth_url": config.identity.auth_url,
                "username": user,
                "password": config.cloud.passwords[user],
                "project_name": project,
                "user_domain_name": config.identity.user_domain_name,
                "project_domain_name": config.identity.project_domain_name,
            },
            "region_name": config.cloud.region_name,
            "identity_api_version": 3,
        }
        for cloud, (user, project) in LOGINS.items()
    }
    return msgspec.json.format(msgspec.json.encode({"clouds": clouds}), indent=2).decode() + "\n"
