"""Who calls: what every service needs to know of a token. Knows no token format."""

import msgspec

from hydria.base.errors import Forbidden


class Context(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str
    user_name: str = ""
    project_id: str | None = None
    project_name: str = ""
    roles: frozenset[str] = frozenset()

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles

    def sees(self, project_id: str | None) -> bool:
        return self.is_admin or (project_id is not None and project_id == self.project_id)

    def require_admin(self, action: str) -> None:
        """Raises Forbidden. `action` is the policy's name of what was attempted, e.g. os_compute_api:flavors:create."""
        if not self.is_admin:
            raise Forbidden(f"Policy doesn't allow {action} to be performed.")


CLOUD = Context(user_id="", user_name="cloud", roles=frozenset({"admin"}))
"""The cloud itself: seeding, and one service calling another."""
