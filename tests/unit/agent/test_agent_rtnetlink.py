import struct

from hydria.agent.rtnetlink import attribute, attributes, messages


def test_attributes_come_back_and_are_aligned() -> None:
    data = attribute(3, b"eth1\0") + attribute(4, struct.pack("=I", 1500)) + attribute(1 | 0x8000, b"")
    assert len(data) % 4 == 0
    assert attributes(data) == {3: b"eth1\0", 4: struct.pack("=I", 1500), 1: b""}


def test_damaged_attributes_end_the_list() -> None:
    assert attributes(attribute(1, b"abcd") + struct.pack("=HH", 0, 7) + b"rest") == {1: b"abcd"}


def test_messages_of_one_datagram() -> None:
    one = struct.pack("=IHHII", 16 + 5, 24, 0, 1, 0) + b"12345" + bytes(3)
    two = struct.pack("=IHHII", 16, 3, 0, 1, 0)
    assert list(messages(one + two)) == [(24, b"12345"), (3, b"")]
