"""Rules of L7 policies and of their rules: pure, the same for a POST, a nested one and a PUT.

Each function raises Invalid (400), Conflict (409) or Unsupported (501), or returns what it was asked for.
"""

import re
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from hydria.base.errors import Conflict, Invalid, Unsupported, invalid_field
from hydria.model.l7 import MAX_RULES, CompareType, L7Policy, L7Rule, RuleType
from hydria.model.listener import Listener

TARGETS: Final[Mapping[str, str]] = {
    "REDIRECT_TO_POOL": "redirect_pool_id",
    "REDIRECT_TO_URL": "redirect_url",
    "REDIRECT_PREFIX": "redirect_prefix",
}
"""Action → the field that says where to; REJECT needs none."""

DEFAULT_HTTP_CODE: Final = 302
_WITH_HTTP_CODE: Final = ("REDIRECT_TO_URL", "REDIRECT_PREFIX")
_HTTP: Final = ("HTTP", "TERMINATED_HTTPS")


def check_listener(listener: Listener) -> None:
    """It can have policies."""
    if listener.protocol == "PROMETHEUS":
        raise Invalid(f"Protocol PROMETHEUS listener {listener.id} can have no L7 policies.", field="listener_id")
    if listener.protocol not in _HTTP:
        raise Unsupported(
            "Provider 'amphora' does not support a requested option: L7 policies on a listener of protocol "
            f"{listener.protocol} (possible: {', '.join(_HTTP)})."
        )


def with_action_of_target(changes: Mapping[str, Any]) -> dict[str, Any]:
    """A PUT that names where to and no action means the action that goes there."""
    named = [action for action, target in TARGETS.items() if changes.get(target) is not None]
    if "action" in changes or not named:
        return dict(changes)
    if len(named) > 1:
        targets = [TARGETS[action] for action in named]
        raise Invalid(f"{' and '.join(targets)} cannot be given at the same time.", field=targets[0])
    return {**changes, "action": named[0]}


def for_action(policy: L7Policy) -> L7Policy:
    """With what its action needs, and nothing of other actions."""
    target = TARGETS.get(policy.action)
    if target is not None and getattr(policy, target) is None:
        raise invalid_field(target, None, f"It must be given with action {policy.action}.")
    cleared: dict[str, Any] = {name: None for name in TARGETS.values() if name != target}
    code = (policy.redirect_http_code or DEFAULT_HTTP_CODE) if policy.action in _WITH_HTTP_CODE else None
    return msgspec.structs.replace(policy, **cleared, redirect_http_code=code)


def placed(others: Sequence[L7Policy], policy: L7Policy) -> tuple[L7Policy, ...]:
    """All policies of a listener in order, numbered: `policy` at its position or, where that is too far, last."""
    before = policy.position - 1
    return numbered((*others[:before], policy, *others[before:]))


def numbered(order: Iterable[L7Policy]) -> tuple[L7Policy, ...]:
    return tuple(msgspec.structs.replace(policy, position=place) for place, policy in enumerate(order, start=1))


def check_number(policy: L7Policy, rules: int) -> None:
    if rules > MAX_RULES:
        raise Conflict(f"Too many rules on L7 policy {policy.id}: it can have {MAX_RULES}.")


_ALL: Final[tuple[CompareType, ...]] = ("REGEX", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "EQUAL_TO")
# A header's value as RFC 9110 has it, in quotes also with blanks.
_HEADER_VALUE: Final = r'[!-~]+|"[\t -~]*"'
# RFC 6265, and the comma, which browsers send as well.
_COOKIE_VALUE: Final = r"[!#-:<-\[\]-~]+"
_NAME: Final = r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+"


class Kind(NamedTuple):
    """What a rule of one type may be."""

    compare_types: tuple[CompareType, ...]
    value: str
    """Regular expression; a value that is compared by REGEX need not match it."""
    is_value: str
    """What that means, for people."""
    key: str = r".*"
    """Regular expression; a key that is not given is empty. By default it means nothing."""
    is_key: str = ""


_IS_HEADER_VALUE: Final = "one or more characters of a header's value"

KINDS: Final[Mapping[RuleType, Kind]] = {
    "HOST_NAME": Kind(_ALL, _HEADER_VALUE, _IS_HEADER_VALUE),
    "PATH": Kind(_ALL, _HEADER_VALUE, _IS_HEADER_VALUE),
    "FILE_TYPE": Kind(("REGEX", "EQUAL_TO"), _HEADER_VALUE, _IS_HEADER_VALUE),
    "HEADER": Kind(_ALL, _HEADER_VALUE, _IS_HEADER_VALUE, _NAME, "needs a key, a header's name"),
    "COOKIE": Kind(
        _ALL, _COOKIE_VALUE, "one or more characters of a cookie's value", _NAME, "needs a key, a cookie's name"
    ),
    "SSL_CONN_HAS_CERT": Kind(("EQUAL_TO",), r"(?i:true)", "true", r"", "has no key"),
    "SSL_VERIFY_RESULT": Kind(("EQUAL_TO",), r"[0-9]+", "a number from 0 on", r"", "has no key"),
    "SSL_DN_FIELD": Kind(_ALL, r".+", "given", r"[A-Za-z][A-Za-z0-9\-]*", "needs a key, a field's name"),
}
"""Rule type → what such a rule may be."""


def check_rule(rule: L7Rule) -> None:
    kind = KINDS[rule.type]
    if rule.compare_type not in kind.compare_types:
        raise invalid_field(
            "compare_type", rule.compare_type, f"Type {rule.type} can have {', '.join(kind.compare_types)}."
        )
    if not re.fullmatch(kind.key, rule.key or ""):
        raise invalid_field("key", rule.key, f"Type {rule.type} {kind.is_key}.")
    if rule.compare_type == "REGEX":
        _check_expression(rule.value)
    elif not re.fullmatch(kind.value, rule.value):
        raise invalid_field("value", rule.value, f"For type {rule.type} it must be {kind.is_value}.")


_COMPILING = threading.Lock()


def _check_expression(text: str) -> None:
    if not text:
        raise invalid_field("value", text, "A regular expression must not be empty.")
    try:
        # What Python may understand differently one day is no concern of whoever wrote it for the proxy. The filters
        # of warnings are the whole process's: hence the lock.
        with _COMPILING, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise invalid_field("value", text, f"It is not a regular expression: {error}.") from error
