"""Does a value satisfy a flavor's extra spec? The operators and their oddities are Nova's. Pure."""

import operator
from collections.abc import Callable

NUMERIC: dict[str, Callable[[float, float], bool]] = {
    "=": operator.ge,  # as in Nova: "=" asks for at least that much
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}
TEXTUAL: dict[str, Callable[[str, str], bool]] = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s>=": operator.ge,
    "s>": operator.gt,
    "s<=": operator.le,
    "s<": operator.lt,
    "<in>": operator.contains,
}


def match(value: str, requirement: str) -> bool:
    """True where `value` satisfies `requirement`.

    >>> match("true", "true"), match("4", ">= 2"), match("sse4", "<in> sse"), match("b", "<or> a <or> b")
    (True, True, True, True)
    """
    words = requirement.split()
    if not words:
        return value == requirement
    head, arguments = words[0], words[1:]
    if head == "<or>":
        return value in (word for word in words if word != "<or>")
    if head == "<all-in>":
        return bool(arguments) and all(argument in value for argument in arguments)
    if head in TEXTUAL and arguments:
        return TEXTUAL[head](value, arguments[0])
    if head in NUMERIC and arguments:
        return _numbers(NUMERIC[head], value, arguments[0])
    return value == requirement


def _numbers(compare: Callable[[float, float], bool], value: str, wanted: str) -> bool:
    try:
        return compare(float(value), float(wanted))
    except ValueError:
        return False
