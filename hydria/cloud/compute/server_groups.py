"""Server groups: which servers shall share a host and which must not."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from hydria.base.errors import Invalid, NotFound
from hydria.cloud.compute.form import Form, Name
from hydria.cloud.compute.resources import Server, ServerGroup, server_groups, servers
from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.resource import new_id

Policy = Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]


class Rules(Form):
    max_server_per_host: Annotated[int, Meta(ge=1)] = 1


class CreateServerGroup(Form):
    name: Name
    policies: Annotated[list[Policy], Meta(min_length=1, max_length=1)] | None = None
    """Up to 2.63."""
    policy: Policy | None = None
    rules: Rules | None = None


class ServerGroups:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, context: Context, form: CreateServerGroup) -> ServerGroup:
        policy = form.policy or (form.policies[0] if form.policies else None)
        if policy is None:
            raise Invalid("Invalid input for field/attribute policy. 'policy' is a required property", field="policy")
        if form.rules is not None and policy != "anti-affinity":
            raise Invalid("Only anti-affinity policy supports rules.", field="rules")
        group = ServerGroup(
            id=new_id(),
            name=form.name,
            policy=policy,
            rules={"max_server_per_host": form.rules.max_server_per_host} if form.rules else {},
            project_id=context.project_id or "",
            user_id=context.user_id,
        )
        with self._database.begin() as connection:
            server_groups.insert(connection, group)
        return group

    def all(self, context: Context, *, all_projects: bool = False) -> list[ServerGroup]:
        with self._database.read() as connection:
            found = server_groups.select(connection)
        return [
            group for group in found if (context.is_admin and all_projects) or group.project_id == context.project_id
        ]

    def get(self, context: Context, group_id: str) -> ServerGroup:
        with self._database.read() as connection:
            group = server_groups.get(connection, group_id)
        if group is None or not context.sees(group.project_id):
            raise NotFound(f"Instance group {group_id} could not be found.")
        return group

    def delete(self, context: Context, group_id: str) -> None:
        with self._database.begin() as connection:
            self.get(context, group_id)
            server_groups.delete(connection, group_id)

    def members(self, group_id: str) -> list[Server]:
        with self._database.read() as connection:
            return servers.select(connection, {"group_id": [group_id]})


def view(group: ServerGroup, members: list[Server], version: int) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": group.id, "name": group.name, "members": [server.id for server in members]}
    if version >= 13:
        shown |= {"project_id": group.project_id, "user_id": group.user_id}
    if version >= 64:
        return {**shown, "policy": group.policy, "rules": group.rules}
    return {**shown, "policies": [group.policy], "metadata": {}}
