import ipaddress
import struct

import pytest

from hydria.agent.advertise import frame

MAC = bytes.fromhex("fa163e000001")


def test_gratuitous_arp() -> None:
    data = frame(MAC, ipaddress.ip_address("203.0.113.100"))
    assert data[:14] == bytes.fromhex("ffffffffffff") + MAC + b"\x08\x06"
    hardware, protocol, sizes, operation = struct.unpack("!HHHH", data[14:22])
    assert (hardware, protocol, sizes, operation) == (1, 0x0800, 0x0604, 1)
    sender, target = data[28:32], data[38:42]
    assert sender == target == ipaddress.ip_address("203.0.113.100").packed


@pytest.mark.parametrize("address", ["2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe"])
def test_unsolicited_neighbour_advertisement_has_a_right_checksum(address: str) -> None:
    data = frame(MAC, ipaddress.ip_address(address))
    assert data[:14] == bytes.fromhex("333300000001") + MAC + b"\x86\xdd"
    packet = data[14:]
    length, following, hops = struct.unpack("!HBB", packet[4:8])
    message = packet[40:]
    assert (length, following, hops) == (len(message), 58, 255)
    assert message[0] == 136
    assert message[8:24] == packet[8:24] == ipaddress.ip_address(address).packed
    # RFC 4443: the sum over pseudo header and message, checksum included, is all ones.
    words = packet[8:40] + struct.pack("!II", length, following) + message
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF
