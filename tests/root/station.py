"""What is behind a virtual machine's NIC, without the machine: Ethernet, ARP and ICMP echo on a tap's descriptor."""

import os
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address

_VIRTIO_HEADER = bytes(10)
"""struct virtio_net_hdr: no checksum is left to do, no segmentation."""
_BROADCAST = b"\xff" * 6
_ARP, _IPV4 = 0x0806, 0x0800
_REQUEST, _REPLY = 1, 2
_ICMP, _ECHO, _ECHO_REPLY = 1, 8, 0
_ETHERNET = struct.Struct("!6s6sH")
_ARP_BODY = struct.Struct("!HHBBH6s4s6s4s")
_IP_HEADER = struct.Struct("!BBHHHBBH4s4s")


class Station:
    """One address on one descriptor. Answers who asks, and asks others."""

    def __init__(self, fd: int, mac: str, address: str) -> None:
        self._fd = fd
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.address = IPv4Address(address).packed
        self._heard = threading.Condition()
        self._neighbours: dict[bytes, bytes] = {}
        self._answers: set[int] = set()
        self._sequence = 0

    def reaches(self, address: str, seconds: float = 3.0) -> bool:
        """As `ping -c 1` does it."""
        target = IPv4Address(address).packed
        self._send(_BROADCAST, _ARP, self._arp(_REQUEST, bytes(6), target))
        with self._heard:
            if not self._heard.wait_for(lambda: target in self._neighbours, seconds):
                return False
            self._sequence += 1
            number = self._sequence
        self._send(self._neighbours[target], _IPV4, self._ip(target, _icmp(_ECHO, number, b"hydria")))
        with self._heard:
            return self._heard.wait_for(lambda: number in self._answers, seconds)

    def serve(self, stop: socket.socket) -> None:
        while True:
            ready, _, _ = select.select([self._fd, stop], [], [])
            if stop in ready:
                return
            try:
                self._hear(os.read(self._fd, 65536)[len(_VIRTIO_HEADER) :])
            except OSError:  # the NIC was taken away
                return

    def _hear(self, frame: bytes) -> None:
        to, sender, kind = _ETHERNET.unpack_from(frame)
        body = frame[_ETHERNET.size :]
        if to not in (self.mac, _BROADCAST):
            return
        if kind == _ARP:
            self._hear_arp(body)
        elif kind == _IPV4 and body[9] == _ICMP and body[16:20] == self.address:
            self._hear_icmp(sender, body[12:16], body[20:])

    def _hear_arp(self, body: bytes) -> None:
        *_, operation, mac, address, _, target = _ARP_BODY.unpack_from(body)
        if target != self.address:
            return
        if operation == _REQUEST:
            self._send(mac, _ARP, self._arp(_REPLY, mac, address))
            return
        with self._heard:
            self._neighbours[address] = mac
            self._heard.notify_all()

    def _hear_icmp(self, sender: bytes, address: bytes, message: bytes) -> None:
        kind, number = message[0], int.from_bytes(message[6:8])
        if kind == _ECHO:
            self._send(sender, _IPV4, self._ip(address, _icmp(_ECHO_REPLY, number, message[8:], message[4:6])))
        elif kind == _ECHO_REPLY:
            with self._heard:
                self._answers.add(number)
                self._heard.notify_all()

    def _send(self, to: bytes, kind: int, body: bytes) -> None:
        os.write(self._fd, _VIRTIO_HEADER + _ETHERNET.pack(to, self.mac, kind) + body)

    def _arp(self, operation: int, mac: bytes, address: bytes) -> bytes:
        return _ARP_BODY.pack(1, _IPV4, 6, 4, operation, self.mac, self.address, mac, address)

    def _ip(self, to: bytes, message: bytes) -> bytes:
        length = _IP_HEADER.size + len(message)
        parts = (0x45, 0, length, 0, 0, 64, _ICMP)
        checksum = _checksum(_IP_HEADER.pack(*parts, 0, self.address, to))
        return _IP_HEADER.pack(*parts, checksum, self.address, to) + message


@contextmanager
def station(fd: int, mac: str, address: str) -> Iterator[Station]:
    """Served by a thread until the end of the block, which closes `fd`."""
    with ExitStack() as stack:
        stack.callback(os.close, fd)
        made = Station(fd, mac, address)
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            stack.enter_context(end)
        thread = threading.Thread(target=made.serve, args=(theirs,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(ours.send, b".")
        yield made


def _icmp(kind: int, number: int, data: bytes, identifier: bytes = b"\0\1") -> bytes:
    def message(checksum: int) -> bytes:
        return struct.pack("!BBH2sH", kind, 0, checksum, identifier, number) + data

    return message(_checksum(message(0)))


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    padded = data + bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
