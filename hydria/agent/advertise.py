"""Tells the neighbours that an address is here: gratuitous ARP (RFC 5227) and unsolicited advertisements (RFC 4861)."""

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Iterable

from hydria.agent.netlink import Host, Link

_ETH_P_ARP, _ETH_P_IPV6 = 0x0806, 0x86DD
_BROADCAST = bytes.fromhex("ffffffffffff")
_ALL_NODES = ipaddress.ip_address("ff02::1")
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_ICMPV6, _NEIGHBOUR_ADVERTISEMENT, _OVERRIDE = 58, 136, 0x20000000
_TARGET_LINK_LAYER_ADDRESS = 2


def advertise(link: Link, addresses: Iterable[str]) -> None:
    """One frame for each address. To be called within the namespace of the link, which has to be up."""
    mac = bytes.fromhex(link.mac.replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as sender:
        sender.bind((link.name, 0))
        for text in addresses:
            # A neighbour that does not hear it finds the address by asking: nothing is lost but time.
            with contextlib.suppress(OSError):
                sender.send(frame(mac, ipaddress.ip_address(text)))


def frame(mac: bytes, address: Host) -> bytes:
    return _arp(mac, address.packed) if address.version == 4 else _neighbour_advertisement(mac, address.packed)


def _arp(mac: bytes, address: bytes) -> bytes:
    """A request for one's own address, which hosts take up more widely than a reply nobody asked for."""
    ethernet = _BROADCAST + mac + struct.pack("!H", _ETH_P_ARP)
    return ethernet + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address + bytes(6) + address


def _neighbour_advertisement(mac: bytes, address: bytes) -> bytes:
    option = struct.pack("!BB", _TARGET_LINK_LAYER_ADDRESS, 1) + mac
    body = struct.pack("!I", _OVERRIDE) + address + option
    message = struct.pack("!BBH", _NEIGHBOUR_ADVERTISEMENT, 0, 0) + body
    pseudo = address + _ALL_NODES.packed + struct.pack("!II", len(message), _ICMPV6)
    message = struct.pack("!BBH", _NEIGHBOUR_ADVERTISEMENT, 0, _checksum(pseudo + message)) + body
    header = struct.pack("!IHBB", 0x60000000, len(message), _ICMPV6, 255)
    ethernet = _ALL_NODES_MAC + mac + struct.pack("!H", _ETH_P_IPV6)
    return ethernet + header + address + _ALL_NODES.packed + message


def _checksum(data: bytes) -> int:
    """RFC 1071; all our messages have an even length."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
