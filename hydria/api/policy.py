"""Who may do what: oslo.policy with the rule names of Octavia, so that operators' policy files work here.

Rules are fixed when the process starts, and a decision depends on nothing but its arguments; so it is remembered.
"""

import functools
from pathlib import Path

from oslo_config import cfg
from oslo_policy import policy

from hydria.api.identity import Caller
from hydria.base.errors import Forbidden

PREFIX = "os_load-balancer_api"
_READ, _WRITE, _ADMIN = "rule:load-balancer:read", "rule:load-balancer:write", "rule:load-balancer:admin"
_READ_GLOBAL = "rule:load-balancer:read-global"

_FOUNDATION = {
    "context-is-admin": "role:admin",
    "service": "role:service",
    "load-balancer:owner": "project_id:%(project_id)s",
    "project-member": "rule:load-balancer:owner and role:member",
    # Identity adds implied roles to a token (admin > member > reader); an identity service without them works too.
    "project-reader": "rule:load-balancer:owner and (role:reader or role:member)",
    "load-balancer:admin": "rule:context-is-admin",
    "load-balancer:global_observer": "rule:context-is-admin",
    "load-balancer:quota-admin": "rule:context-is-admin",
    "load-balancer:observer_and_owner": "rule:project-reader",
    "load-balancer:member_and_owner": "rule:project-member",
    "load-balancer:read": (
        "rule:load-balancer:admin or rule:load-balancer:global_observer or "
        "rule:load-balancer:member_and_owner or rule:load-balancer:observer_and_owner"
    ),
    "load-balancer:read-global": "rule:load-balancer:global_observer or rule:load-balancer:admin",
    "load-balancer:write": "rule:load-balancer:admin or rule:load-balancer:member_and_owner",
    "load-balancer:read-quota": (
        "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or "
        "rule:load-balancer:member_and_owner or rule:load-balancer:quota-admin or rule:load-balancer:admin"
    ),
    "load-balancer:read-quota-global": (
        "rule:load-balancer:global_observer or rule:load-balancer:quota-admin or rule:load-balancer:admin"
    ),
    "load-balancer:write-quota": "rule:load-balancer:quota-admin or rule:load-balancer:admin",
}

_OWNED = {
    "get_all": _READ,
    "get_all-global": _READ_GLOBAL,
    "get_one": _READ,
    "post": _WRITE,
    "put": _WRITE,
    "delete": _WRITE,
}
_OPERATORS = dict.fromkeys(("post", "put", "delete"), _ADMIN)
_READ_ONLY = {"get_all": _READ, "get_one": _READ}

_TABLE: dict[str, dict[str, str]] = {
    "loadbalancer": {
        **_OWNED,
        "get_stats": _READ,
        "get_status": _READ,
        "put_failover": _ADMIN,
        "post:vip_sg_ids": _WRITE,
        "put:vip_sg_ids": _WRITE,
    },
    "listener": {**_OWNED, "get_stats": _READ},
    "pool": _OWNED,
    "member": {**_OWNED, "get_all": f"{_READ} or rule:service"},
    "healthmonitor": _OWNED,
    "l7policy": _OWNED,
    "l7rule": _OWNED,
    "certificate": _OWNED,
    "amphora": {**dict.fromkeys(("get_all", "get_one", "get_stats", "delete", "put_config", "put_failover"), _ADMIN)},
    "provider": {"get_all": _READ},
    "provider-flavor": {"get_all": _ADMIN},
    "flavor": {**_READ_ONLY, **_OPERATORS},
    "flavor-profile": {"get_all": _ADMIN, "get_one": _ADMIN, **_OPERATORS},
}

DEFAULT_RULES = {
    **_FOUNDATION,
    **{f"{PREFIX}:{kind}:{verb}": rule for kind, verbs in _TABLE.items() for verb, rule in verbs.items()},
}


class Policy:
    def __init__(self, policy_file: str | None = None) -> None:
        rules = policy.Rules.from_dict(DEFAULT_RULES)
        if policy_file is not None:
            rules.update(policy.Rules.load(Path(policy_file).read_text()))
        settings = cfg.ConfigOpts()
        settings([], default_config_files=[], default_config_dirs=[])
        self._enforcer = policy.Enforcer(settings, use_conf=False)
        self._enforcer.set_rules(rules, use_conf=False)
        self._enforcer.check_rules(raise_on_violation=True)
        self._decide = functools.lru_cache(maxsize=10_000)(self._evaluate)

    def allows(self, caller: Caller, rule: str, project_id: str | None) -> bool:
        """`rule` is <resource>:<verb>; `project_id` that of the object."""
        return self._decide(rule, caller.user_id, caller.project_id, caller.roles, project_id)

    def check(self, caller: Caller, rule: str, project_id: str | None) -> None:
        """Raises Forbidden."""
        if not self.allows(caller, rule, project_id):
            raise Forbidden("Policy does not allow this request to be performed.")

    def _evaluate(
        self, rule: str, user_id: str, own_project: str | None, roles: tuple[str, ...], project_id: str | None
    ) -> bool:
        credentials = {"user_id": user_id, "roles": list(roles)}
        if own_project is not None:  # Else a missing project would equal an object's missing project.
            credentials |= {"project_id": own_project, "tenant_id": own_project}
        target = {} if project_id is None else {"project_id": project_id, "tenant_id": project_id}
        return bool(self._enforcer.enforce(f"{PREFIX}:{rule}", target, credentials))
