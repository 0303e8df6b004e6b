"""A whole cloud on a port of loopback, as tests see it."""

import sys
from pathlib import Path

import httpx

from hydria.base import process
from hydria.base.config import Cloud, Config, Fabric, Host
from hydria.cloud.app import Services

PASSWORDS = {"admin": "a-secret", "hydria": "h-secret", "demo": "d-secret"}


class RunningCloud:
    def __init__(self, services: Services, url: str) -> None:
        self.services = services
        self.url = url
        self._clients: list[httpx.Client] = []

    def client(self, user: str = "admin", *, project: str | None = None, password: str | None = None) -> httpx.Client:
        client = httpx.Client(base_url=self.url)
        self._clients.append(client)
        project = project or {"hydria": "service"}.get(user, user)
        answer = self.login(user, password or PASSWORDS[user], project)
        assert answer.status_code == 201, answer.text
        client.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        return client

    def login(self, user: str, password: str, project: str | None = None) -> httpx.Response:
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": {"name": "Default"}, "password": password}},
        }
        scope = {"scope": {"project": {"name": project, "domain": {"name": "Default"}}}} if project else {}
        return httpx.post(f"{self.url}/identity/v3/auth/tokens", json={"auth": {"identity": identity} | scope})

    def openstack(self, *arguments: str, user: str = "admin", project: str | None = None) -> str:
        environment = {
            "OS_AUTH_URL": f"{self.url}/identity/v3",
            "OS_USERNAME": user,
            "OS_PASSWORD": PASSWORDS[user],
            "OS_PROJECT_NAME": project or user,
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
        }
        program = str(Path(sys.executable).with_name("openstack"))
        return process.run([program, *arguments], environment=environment).stdout.strip()

    def close(self) -> None:
        for client in self._clients:
            client.close()


def make_config(directory: Path, port: int = 0) -> Config:
    return Config(
        cloud=Cloud(
            bind_port=port,
            database_url=f"sqlite:///{directory}/cloud.db",
            state_dir=str(directory),
            passwords=PASSWORDS,
            hosts=(Host(name="host1", pfs={"pf-public": "public", "pf-members": "members"}),),
        ),
        fabric=Fabric(kind="software"),
    )
