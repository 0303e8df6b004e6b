"""Keystone's wordings, which clients look for."""

from hydria.base.errors import Conflict, Forbidden, NotFound, Unauthorized
from hydria.cloud.context import Context


def unauthorized() -> Unauthorized:
    """Says not why: which part of a login was wrong is nobody's business."""
    return Unauthorized("The request you have made requires authentication.")


def missing(kind: str, id_: str) -> NotFound:
    return NotFound(f"Could not find {kind}: {id_}.")


def duplicate(kind: str, name: str) -> Conflict:
    return Conflict(
        f"Conflict occurred attempting to store {kind} - it is not permitted to have two {kind}s with the same name:"
        f" Duplicate entry found with name {name}."
    )


def require(allowed: bool, action: str) -> None:
    """`action` is the policy's name, e.g. identity:create_project."""
    if not allowed:
        raise Forbidden(f"You are not authorized to perform the requested action: {action}.")


def require_admin(context: Context, action: str) -> None:
    require(context.is_admin, action)
