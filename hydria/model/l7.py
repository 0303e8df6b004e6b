"""L7 policies and their rules."""

from typing import Annotated, Literal

from msgspec import Meta

from hydria.model.field import CREATE, Text, Uuid
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

_Url = Annotated[str, Meta(max_length=255, pattern=r"^[^\r\n]*\Z")]
_Words = Annotated[str, Meta(max_length=255, pattern=r"^[^\r\n]*\Z")]


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
    l7policy_id: Annotated[Uuid, CREATE]
    type: RuleType
    compare_type: CompareType
    key: _Words | None = None
    value: _Words
    invert: bool = False
