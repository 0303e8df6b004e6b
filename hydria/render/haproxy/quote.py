"""What somebody typed → one word of haproxy.cfg that means exactly that text."""

import re

from hydria.base.errors import Invalid

_PLAIN = re.compile(r"[A-Za-z0-9_./:,@=+-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def word(text: str) -> str:
    r"""Quoted so that blanks, quotes, `#`, `\` and `$` are themselves. Raises Invalid for control characters.

    >>> word("a b#${HOME}")
    "'a b#${HOME}'"
    >>> word("it's")
    "'it'\\''s'"
    """
    if _CONTROL.search(text):
        raise Invalid(f"Control characters cannot stand in HAProxy's configuration: {text!r}")
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"


def argument(text: str) -> str:
    r"""An argument of a sample fetch, as in `req.cook(name)`: it has quotes of its own, inside those of the word.

    >>> argument('a"b,c')
    '"a\\"b,c"'
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def format_string(text: str) -> str:
    """A text where HAProxy expects a log-format: `%` starts a variable there.

    >>> format_string("100%")
    "'100%%'"
    """
    return word(text.replace("%", "%%"))


def identifier(text: str) -> str:
    """The name of a section or server. Raises Invalid where HAProxy would not take it as it stands."""
    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", text):
        raise Invalid(f"Not a name that HAProxy takes: {text!r}")
    return text
