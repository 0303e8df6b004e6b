"""vf_against_normal.py in the guest of `python -m lab`, which has NICs at the wires' other ends. `make bench`."""

import argparse
import os
from pathlib import Path

import msgspec
import vf_against_normal
from hardware import CARDS, Monitor, bring_up, outside_nic, state, until

# Nothing may count as lost or late only because the CPU is emulated.
os.environ.update(
    HYDRIA_CONTROLLER__BOOT_TIMEOUT="240",
    HYDRIA_CONTROLLER__HEARTBEAT_TIMEOUT="60",
    HYDRIA_CONTROLLER__LEASE_SECONDS="60",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="for the figures")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    bring_up()
    before = state()
    with Monitor() as monitor:
        version = monitor.do("query-version")["qemu"]
    number = ".".join(str(version[part]) for part in ("major", "minor", "micro"))
    public, members = CARDS["public"], CARDS["members"]
    figures = vf_against_normal.measure(
        public=public.pf,
        members=members.pf,
        client=outside_nic(public),
        backend=outside_nic(members),
        runs=arguments.runs,
        seconds=arguments.seconds,
        emulation=f"QEMU {number}, TCG (no KVM), {os.cpu_count()} CPU, emulated igb",
    )
    until("every VF is at home, as it was", lambda: state() == before)
    arguments.file.write_bytes(msgspec.json.encode(figures))


if __name__ == "__main__":
    main()
