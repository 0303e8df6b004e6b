"""Who may do what, as Barbican's default policy has it. Pure.

Members make secrets. A secret is its project's: members read, change and delete it, unless an ACL makes it private;
then its maker and the project's administrators do. An ACL's users read it, from wherever they come. An administrator
of another project is nobody here.
"""

from hydria.cloud.context import Context
from hydria.cloud.key_manager.errors import not_allowed
from hydria.cloud.key_manager.resources import Kept


def require_member(context: Context, operation: str) -> str:
    """The caller's project. Raises Forbidden."""
    if context.project_id is None or "member" not in context.roles:
        raise not_allowed(operation)
    return context.project_id


def require_change(context: Context, kept: Kept, operation: str) -> None:
    """Raises Forbidden."""
    if not _may_change(context, kept):
        raise not_allowed(operation)


def require_read(context: Context, kept: Kept, operation: str) -> None:
    """Raises Forbidden."""
    if not (_may_change(context, kept) or has_acl(context, kept)):
        raise not_allowed(operation)


def has_acl(context: Context, kept: Kept) -> bool:
    return kept.acl is not None and context.user_id in kept.acl.users


def _may_change(context: Context, kept: Kept) -> bool:
    if context.project_id != kept.project_id:
        return False
    if context.is_admin:
        return True
    shared = kept.acl is None or kept.acl.project_access
    return "member" in context.roles and (shared or context.user_id == kept.creator_id)
