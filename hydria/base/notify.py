"""Tells systemd (Type=notify) that we are ready or stopping. Without systemd it does nothing."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """`state` as in sd_notify(3): READY=1, STOPPING=1, STATUS=..."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # the abstract name space
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto(state.encode(), address)
