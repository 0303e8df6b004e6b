"""L7 policies and their rules."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from hydria.model.field import CREATE, INTERNAL, Text, Uuid, text
from hydria.model.resource import Provisioned

Action = Literal["REJECT", "REDIRECT_TO_POOL", "REDIRECT_TO_URL", "REDIRECT_PREFIX"]
RedirectCode = Literal[301, 302, 303, 307, 308]
RuleType = Literal[
    "HOST_NAME", "PATH", "FILE_TYPE", "HEADER", "COOKIE", "SSL_CONN_HAS_CERT", "SSL_VERIFY_RESULT", "SSL_DN_FIELD"
]
CompareType = Literal["REGEX", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "EQUAL_TO"]
Position = Annotated[int, Meta(ge=1, le=2**31 - 1)]
MAX_RULES = 50
"""Of one policy."""


def _url(value: str) -> str:
    """Only what RFC 3986 allows in a URL: it is written into the proxy's configuration."""
    if not re.fullmatch(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*", value):
        raise ValueError("It holds characters that a URL cannot have.")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("It must be a URL that begins with http:// or https:// and a host.")
    _ = parts.port  # raises ValueError for what is no port
    return value


_Url = Annotated[str, *text(255, _url, pattern="^https?://[^/?#]", format="uri")]
_Words = Annotated[str, Meta(max_length=255, pattern=r"^[^\x00-\x08\x0A-\x1F\x7F]*\Z")]
"""No control characters but the tab."""


class L7Policy(Provisioned, kw_only=True, frozen=True):
    description: Text = ""
    listener_id: Annotated[Uuid, CREATE]
    action: Action
    redirect_pool_id: Uuid | None = None
    redirect_url: _Url | None = None
    redirect_prefix: _Url | None = None
    redirect_http_code: RedirectCode | None = None
    position: Position = 2**31 - 1
    """Dense from 1 among the listener's policies; by default the last."""


class L7Rule(Provisioned, kw_only=True, frozen=True):
    name: Annotated[Text, INTERNAL] = ""
    """Rules have none."""
    l7policy_id: Annotated[Uuid, CREATE]
    type: RuleType
    compare_type: CompareType
    key: _Words | None = None
    value: _Words
    invert: bool = False
