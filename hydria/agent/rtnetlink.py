"""The wire format of rtnetlink(7): messages, attributes, one socket. Knows nothing of what is asked for.

Why not pyroute2: importing it costs more than all else that an agent does before its first load balancer serves
(docs/design/0003-agent-server.md).
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from hydria.base.errors import Retryable

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x001, 0x004, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x3FFF
"""Without the two flags that an attribute's type may carry."""
_BUFFER = 1 << 20

Attributes = dict[int, bytes]


class NetlinkFailed(Retryable):
    """The kernel refused; `errno` says how."""

    def __init__(self, attempt: str, code: int) -> None:
        super().__init__(f"{attempt}: {os.strerror(code)} ({errno.errorcode.get(code, code)})")
        self.errno = code


def attribute(kind: int, value: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + b"\0" * (-size % 4)


def u32(value: int) -> bytes:
    return struct.pack("=I", value)


def attributes(data: bytes) -> Attributes:
    found: Attributes = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, offset)
        if size < _ATTRIBUTE.size:
            break
        found[kind & _NESTED] = data[offset + _ATTRIBUTE.size : offset + size]
        offset += size + -size % 4
    return found


def messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each message in what one recv() gave."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        size, kind, _flags, _sequence, _port = _HEADER.unpack_from(datagram, offset)
        if size < _HEADER.size:
            break
        yield kind, datagram[offset + _HEADER.size : offset + size]
        offset += size + -size % 4


class RouteSocket:
    """A conversation about the namespace in which it was opened; one question at a time."""

    def __init__(self, groups: int = 0) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, groups))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, kind: int, body: bytes, flags: int, attempt: str) -> list[bytes]:
        """Payloads of the answer; of a change there are none. Raises NetlinkFailed."""
        self._sequence += 1
        size = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(size, kind, flags | NLM_F_REQUEST, self._sequence, 0) + body)
        answer: list[bytes] = []
        while True:
            for reply, payload in messages(self._socket.recv(_BUFFER)):
                if reply == _NLMSG_DONE:
                    return answer
                if reply == _NLMSG_ERROR:
                    code = -int(struct.unpack_from("=i", payload)[0])
                    if code:
                        raise NetlinkFailed(attempt, code)
                    return answer
                answer.append(payload)

    def change(self, kind: int, body: bytes, attempt: str, *, flags: int = 0, fine: Sequence[int] = ()) -> bool:
        """True if the kernel did it; False if it answered one of `fine`, which mean that it is so already."""
        try:
            self.ask(kind, body, flags | NLM_F_ACK, attempt)
        except NetlinkFailed as error:
            if error.errno in fine:
                return False
            raise
        return True

    def wait(self, timeout: float) -> None:
        """Until something is multicast to us, or for `timeout` seconds. What it was does not matter: look again."""
        self._socket.settimeout(timeout)
        try:
            self._socket.recv(_BUFFER)
        except TimeoutError:
            return
        except OSError as error:
            # An overrun is news too.
            if error.errno != errno.ENOBUFS:
                raise
