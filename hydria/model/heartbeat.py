"""The datagram an amphora sends: JSON, compressed, followed by the HMAC-SHA256 of all before it.

Counters are totals since the amphora's HAProxy first started, so that a lost datagram loses nothing. A status may be
a word of a newer agent: a heartbeat that was not understood for one would make its amphora a silent one.
"""

import hmac
import zlib
from collections.abc import Mapping

import msgspec
from msgspec import Struct, field

from hydria.base.errors import Invalid

_DIGEST = "sha256"
_DIGEST_SIZE = 32
_MAX_PLAIN = 4 * 1024 * 1024
"""An amphora of 1,000 members needs some 100 KB; a larger datagram is not ours."""


class ListenerStats(Struct, kw_only=True, frozen=True):
    bytes_in: int = 0
    bytes_out: int = 0
    active_connections: int = 0
    total_connections: int = 0
    request_errors: int = 0


class ListenerHealth(Struct, kw_only=True, frozen=True):
    status: str
    """OPEN or FULL."""
    stats: ListenerStats = ListenerStats()


class PoolHealth(Struct, kw_only=True, frozen=True):
    status: str
    """UP or DOWN."""
    members: Mapping[str, str] = field(default_factory=dict)
    """UP, DOWN, DRAIN, MAINT, no check or RESTARTING."""


class NicCounters(Struct, kw_only=True, frozen=True):
    name: str = ""
    """Of the interface in the amphora."""
    carrier: bool = True
    """False: it is up and has no link, or it is down."""
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    tx_packets: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0
    rx_errors: int = 0
    tx_errors: int = 0


class Heartbeat(Struct, kw_only=True, frozen=True):
    version: int = 1
    amphora_id: str
    load_balancer_id: str | None = None
    generation: int | None = None
    sequence: int
    """Rises with every datagram; starts at the time of the agent's start in milliseconds, so never falls."""
    time: float
    haproxy: str = "not needed"
    """Or running, or stopped."""
    listeners: dict[str, ListenerHealth] = field(default_factory=dict)
    pools: dict[str, PoolHealth] = field(default_factory=dict)
    nics: dict[str, NicCounters] = field(default_factory=dict)
    """By MAC address."""


def seal(heartbeat: Heartbeat, key: bytes) -> bytes:
    packed = zlib.compress(msgspec.json.encode(heartbeat), 1)
    return packed + hmac.digest(key, packed, _DIGEST)


def unseal(datagram: bytes, key: bytes) -> Heartbeat:
    """Raises Invalid for anything that was not sealed with `key`."""
    packed, digest = datagram[:-_DIGEST_SIZE], datagram[-_DIGEST_SIZE:]
    if not hmac.compare_digest(hmac.digest(key, packed, _DIGEST), digest):
        raise Invalid("Heartbeat with a wrong HMAC")
    try:
        return msgspec.json.decode(zlib.decompressobj().decompress(packed, _MAX_PLAIN), type=Heartbeat)
    except (zlib.error, msgspec.DecodeError) as error:
        raise Invalid(f"Heartbeat that does not decode: {error}") from error
