"""Which MACs of normal ports the PFs below a bridge let through to it.

A NIC's switch delivers a unicast frame between a VF and its PF only where it knows the MAC, and a PF that is a port of
a bridge is promiscuous towards the wire alone. So each port's MAC is added to the PF, as Neutron's FDB extension does:
`bridge fdb add MAC dev PF self permanent`. The kernel does not say whose such an entry is: a file for each port does.
"""

from collections.abc import Collection
from pathlib import Path

import msgspec

from hydria.base.log import Logger
from hydria.sriov.netlink.bridges import BridgeNetlink

log = Logger(__name__)

RECORDS = Path("/run/hydria/fabric")
"""Gone after a boot, as the entries are."""


class Record(msgspec.Struct, frozen=True):
    mac: str
    bridge: str
    pfs: tuple[str, ...]
    """PFs to which we added the MAC: an entry that somebody else made is not ours to take away."""


class Passage:
    """Of one fabric. Keeps nothing but what stands in the files."""

    def __init__(self, fabric: str, records: Path = RECORDS) -> None:
        self._directory = records / fabric

    def open(self, port_id: str, mac: str, bridge: str, pfs: Collection[str]) -> None:
        """Let frames to `mac` through those of `pfs` that are ports of the bridge. May run twice."""
        before = self._read(port_id)
        if before is not None and (before.mac, before.bridge) != (mac, bridge):
            self.close(port_id)
            before = None
        ours = set(before.pfs) if before else set()
        with BridgeNetlink() as netlink:
            master = netlink.need(bridge).index
            links = [link for name in sorted(pfs) if (link := netlink.link(name)) is not None]
            below = [link for link in links if link.master == master]
            ours |= {link.name for link in below if mac not in netlink.addresses_let_through(link.index)}
            # First the file: an entry that it names and that is missing does no harm, the reverse stays for ever.
            self._write(port_id, Record(mac, bridge, tuple(sorted(ours))))
            for link in below:
                netlink.let_through(link.index, mac)

    def close(self, port_id: str) -> None:
        """May run twice."""
        record = self._read(port_id)
        if record is None:
            return
        with BridgeNetlink() as netlink:
            for name in record.pfs:
                if (link := netlink.link(name)) is not None:
                    netlink.let_through_no_more(link.index, record.mac)
        self._file(port_id).unlink(missing_ok=True)

    def ensure(self, plugged: Collection[str], pfs: Collection[str]) -> None:
        """After a crash, or a bridge's new PF: open for the ports that are there, closed for those that are gone."""
        for port_id in self.ports():
            record = self._read(port_id)
            if port_id not in plugged or record is None:
                log.info("MAC of a port that is gone taken off the PFs", port_id=port_id)
                self.close(port_id)
            else:
                self.open(port_id, record.mac, record.bridge, pfs)

    def ports(self) -> list[str]:
        return sorted(path.stem for path in self._directory.glob("*.json"))

    def close_all(self) -> list[str]:
        """Ids of the ports that had one."""
        closed = self.ports()
        for port_id in closed:
            self.close(port_id)
        if self._directory.is_dir():
            self._directory.rmdir()
        return closed

    def _file(self, port_id: str) -> Path:
        return self._directory / f"{port_id}.json"

    def _read(self, port_id: str) -> Record | None:
        try:
            return msgspec.json.decode(self._file(port_id).read_bytes(), type=Record)
        except FileNotFoundError:
            return None

    def _write(self, port_id: str, record: Record) -> None:
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = self._file(port_id).with_suffix(".new")
        new.write_bytes(msgspec.json.encode(record))
        new.replace(self._file(port_id))
