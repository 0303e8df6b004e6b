"""The life of a VF: set up through its PF, handed over, taken back, and put back as it was.

Taking back is unbinding and binding its driver anew: wherever the netdev is, it ends, and a fresh one appears at home.
All that a guest did to it goes with it. docs/design/0030-life-of-a-vf.md says why, and what happens after each crash.
"""

import contextlib
import errno
from collections.abc import Iterator, Mapping

from msgspec import structs

from hydria.base.errors import Conflict, HydriaError, Retryable, Terminal
from hydria.base.log import Logger
from hydria.sriov.inventory import VfId, VfSettings
from hydria.sriov.kernel import VFIO, Kernel, link_of, without_random_mac
from hydria.sriov.netlink import Link, NetlinkFailed
from hydria.sriov.netlink.vfs import Setting, VfState
from hydria.sriov.nics import PciDevice
from hydria.sriov.records import Record, Records
from hydria.sriov.standing import Target, find, standing
from hydria.sriov.tag import Tag

log = Logger(__name__)

_PASSING = (errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ENOBUFS, errno.ENODEV, errno.ENOMEM)
"""Refusals that say "later": the VF is in reset, or its PF has just gone. Of all others, the same again comes."""


class Life:
    def __init__(self, kernel: Kernel, records: Records, physical_networks: Mapping[str, str], fabric: str) -> None:
        self._kernel = kernel
        self._records = records
        self._networks = physical_networks
        self._fabric = fabric

    def hand_over(self, vf: VfId, settings: VfSettings, *, pid: int, holder: str) -> None:
        guest = self._kernel.guest(pid)
        with self._changing(vf) as target:
            if self._has(target, guest, settings):
                self._adjust(target, settings, holder)
                return
            with self._taken(target, settings, guest=guest, holder=holder) as taken:
                link = self._dressed(taken, settings)
                self._kernel.set_link(link.index, up=False, tag=Tag(self._fabric, "vf", str(vf), guest))
                # The last step: a VF that is in its guest is complete.
                self._kernel.move(link, pid=pid)
        log.info("VF handed over", vf=vf, pid=pid, mac=settings.mac, vlan=settings.vlan or None)

    def hand_over_to_machine(self, vf: VfId, settings: VfSettings, *, holder: str) -> PciDevice:
        with self._changing(vf) as target:
            self._check_vfio(target)
            if self._has(target, None, settings):
                self._adjust(target, settings, holder)
            else:
                with self._taken(target, settings, guest=None, holder=holder) as taken:
                    self._bind_vfio(taken)
                log.info("VF given to vfio", vf=vf, address=target.address, mac=settings.mac)
            return PciDevice(target.address)

    def adjust(self, vf: VfId, settings: VfSettings, *, holder: str) -> None:
        with self._changing(vf) as target:
            if not self._has(target, None, settings):
                raise Conflict(f"{target} is with no virtual machine, or not with MAC {settings.mac}")
            self._adjust(target, settings, holder)

    def take_back(self, vf: VfId) -> None:
        target = find(self._kernel, vf)
        if target is None:
            self._forget(vf)
            return
        with self._records.locked(target.pf.address):
            target = find(self._kernel, vf)
            if target is None:
                self._forget(vf)
            elif (record := self._record(target) or self._lost_record(target)) is not None:
                self._restore(target, record, fresh=True)
                log.info("VF taken back", vf=vf)

    @contextlib.contextmanager
    def _changing(self, vf: VfId) -> Iterator[Target]:
        target = find(self._kernel, vf)
        if target is None:
            raise Terminal(f"VF {vf} is not there: this host has no PF '{vf.pf}' with that many VFs")
        if self._kernel.eswitch_mode(target.pf.address) == "switchdev":
            # Nothing passes before the VF's representor is plugged into a bridge, and most settings are the bridge's.
            way_out = f"devlink dev eswitch set pci/{target.pf.address} mode legacy"
            raise Terminal(
                f"{target} cannot be given: its PF is in switchdev mode, where its settings are not ({way_out})"
            )
        with self._records.locked(target.pf.address):
            target = find(self._kernel, vf)
            if target is None:
                raise Retryable(f"VF {vf} has just gone")
            yield target

    # What it is now

    def _record(self, target: Target) -> Record | None:
        record = self._records.read(target.address)
        if record is not None and not target.describes(record):
            log.info("VF was made anew since it was handed over", vf=target.vf, holder=record.holder)
            self._records.drop(target.address)
            return None
        return record

    def _lost_record(self, target: Target) -> Record | None:
        """For a VF that bears our tag and has no record: it was a VF as every NIC makes them, we must suppose."""
        now = standing(self._kernel, self._kernel.links(), target, None, self._fabric)
        if not now.unrecorded:
            return None
        log.warning("no record of what this VF was before", vf=target.vf, holder=now.holder)
        return Record(
            vf=str(target.vf),
            pf_index=target.pf_link.index,
            incarnation=target.device.incarnation,
            before=VfState(),
            driver=target.device.driver,
            holder=now.holder,
        )

    def _has(self, target: Target, guest: int | None, settings: VfSettings) -> bool:
        """Whether it is where it should go, with the MAC it should have. One's other settings can change there."""
        record = self._record(target)
        if record is None or record.guest != guest or record.left:
            return False
        state = self._state(target)
        if state.value("mac") != state.with_settings(settings).value("mac"):
            return False
        if guest is None:
            return target.device.driver == VFIO
        return self._kernel.away(target.address) is not None

    def _state(self, target: Target) -> VfState:
        state = self._kernel.states(target.pf_link.index).get(target.vf.index)
        if state is None:
            raise Retryable(f"{target}: its PF says nothing of it")
        return state

    def _snapshot(self, target: Target, *, guest: int | None, holder: str) -> Record:
        link = link_of(self._kernel.links(), target.device)
        return Record(
            vf=str(target.vf),
            pf_index=target.pf_link.index,
            incarnation=target.device.incarnation,
            before=without_random_mac(self._state(target), target.device),
            netdev=link.name if link else None,
            driver=target.device.driver,
            override=target.device.override,
            mtu=link.mtu if link else None,
            holder=holder,
            fabric=self._fabric,
            guest=guest,
        )

    # There

    @contextlib.contextmanager
    def _taken(self, target: Target, settings: VfSettings, *, guest: int | None, holder: str) -> Iterator[Target]:
        """The VF free of whoever of ours had it, recorded and set; as it was before when the block fails."""
        target, left = self._freed(target)
        self._check_mac(target, settings.mac)
        record = self._snapshot(target, guest=guest, holder=holder)
        if left is not None:
            # What could not be put back is not what it was before: only the old record knows that.
            record = structs.replace(record, before=left.before)
        self._records.write(target.address, record)
        with contextlib.ExitStack() as undo:
            undo.callback(self._undo, target, record, fresh=False)
            self._set(target, settings)
            undo.pop_all()
        with contextlib.ExitStack() as undo:
            undo.callback(self._undo, target, record, fresh=True)
            yield target
            undo.pop_all()

    def _freed(self, target: Target) -> tuple[Target, Record | None]:
        """Raises Conflict where somebody else has it. Gives the record again of a VF that is not quite as before."""
        record = self._record(target) or self._lost_record(target)
        if record is None:
            now = standing(self._kernel, self._kernel.links(), target, None, self._fabric)
            if now.foreign:
                raise Conflict(f"{target} is not ours to give: {now.holder} has it")
            return target, None
        left = self._restore(target, record, fresh=True)
        again = find(self._kernel, target.vf)
        if again is None:
            raise Retryable(f"{target} has just gone")
        return again, record if left else None

    def _check_mac(self, target: Target, mac: str | None) -> None:
        """Two VFs with one MAC: the NIC gives frames to either, and no error ever shows."""
        if mac is None:
            return
        links = self._kernel.links()
        for pf in self._kernel.pfs():
            pf_link = link_of(links, pf)
            if pf_link is None:
                continue
            networks = {self._networks.get(name) for name in (pf_link.name, target.vf.pf)}
            if pf_link.mac == mac.lower() and len(networks) == 1:
                raise Conflict(f"{target} cannot have MAC {mac}: PF {pf_link.name} has it")
            states = self._kernel.states(pf_link.index)
            for device in pf.vfs:
                link = link_of(links, device)
                has = {link.mac if link else None, states.get(device.index, VfState()).settings.mac}
                if mac.lower() in has and device.address != target.address:
                    other = VfId(pf_link.name, device.index)
                    raise Conflict(f"{target} cannot have MAC {mac}: VF {other} ({device.address}) has it")

    def _set(self, target: Target, settings: VfSettings) -> None:
        """Only what differs: drivers refuse even the default of what they cannot do."""
        now = self._state(target)
        wanted = now.with_settings(settings)
        for setting in now.differences(wanted):
            with self._refusal(target, wanted.words(setting), f"driver {target.pf.driver} of its PF"):
                self._kernel.set_vf(target.pf_link.index, target.vf.index, setting, wanted)

    def _adjust(self, target: Target, settings: VfSettings, holder: str) -> None:
        """Change the settings of a VF while its guest has it: all but MAC and MTU, which are the guest's by now."""
        before = without_random_mac(self._state(target), target.device)
        with contextlib.ExitStack() as undo:
            undo.callback(self._reset, target, before)
            self._set(target, settings)
            undo.pop_all()
        record = self._record(target)
        if record is not None and record.holder != holder:
            self._records.write(target.address, structs.replace(record, holder=holder))

    def _dressed(self, target: Target, settings: VfSettings) -> Link:
        """Its netdev with MAC and MTU as they should be."""
        link = link_of(self._kernel.links(), target.device) or self._kernel.bind(target.address, None)
        if link is None:
            raise Terminal(f"{target} has no netdev: no driver in this kernel fits (modprobe igbvf, iavf, ...?)")
        if settings.mac and link.mac != settings.mac.lower():
            # A driver asks for its MAC when it is bound, and takes a random one as long as its PF has none.
            device = self._kernel.vf(target.address)
            self._kernel.unbind(target.address)
            again = self._kernel.bind(target.address, device.driver if device else None)
            if again is None or again.mac != settings.mac.lower():
                has = f"has {again.mac}" if again else "has no netdev"
                raise Terminal(f"{target} does not take MAC {settings.mac} from its PF: bound anew it {has}")
            link = again
        if settings.mtu is not None and link.mtu != settings.mtu:
            with self._refusal(target, f"mtu {settings.mtu}", f"driver {(target.device.driver or 'of the VF')}"):
                self._kernel.set_link(link.index, mtu=settings.mtu)
        return link

    def _bind_vfio(self, target: Target) -> None:
        self._kernel.override(target.address, VFIO)
        self._kernel.unbind(target.address)
        self._kernel.bind(target.address, None)
        device = self._kernel.vf(target.address)
        if device is None or device.driver != VFIO:
            raise Terminal(f"{target} cannot be given to a virtual machine: {VFIO} does not bind to it")

    @contextlib.contextmanager
    def _refusal(self, target: Target, what: str, driver: str) -> Iterator[None]:
        try:
            yield
        except NetlinkFailed as error:
            if error.errno in _PASSING:
                raise
            raise Terminal(f"{target} cannot have {what}: {driver} refuses: {error.words}") from error

    def _check_vfio(self, target: Target) -> None:
        """Raises Terminal with what is missing before anything is changed."""
        cannot = f"{target} cannot be given to a virtual machine"
        if target.device.group is None:
            raise Terminal(f"{cannot}: it has no IOMMU group (boot with intel_iommu=on or amd_iommu=on, see the BIOS)")
        if not self._kernel.ensure_vfio():
            raise Terminal(f"{cannot}: this kernel has no driver {VFIO} (modprobe {VFIO} failed)")
        members = self._kernel.group_members(target.address)
        # A bridge is no danger: it has pcieport, or no driver at all.
        others = [f"{name} ({driver})" for name, driver in members if driver not in (None, VFIO, "pcieport")]
        if others := [other for other in others if not other.startswith(target.address)]:
            raise Terminal(f"{cannot}: it shares IOMMU group {target.device.group} with {', '.join(others)}")

    # And back

    def _undo(self, target: Target, record: Record, *, fresh: bool) -> None:
        try:
            self._restore(target, record, fresh=fresh)
        except HydriaError as error:
            # The record stays: it is taken back later. What went wrong first is what the caller should hear.
            log.warning("VF is not as it was before", vf=target.vf, reason=error)

    def _restore(self, target: Target, record: Record, *, fresh: bool) -> list[str]:
        """Put everything back; `fresh` also ends what the guest has of it. Gives what the PF's driver refused."""
        # Where only settings are left to put back, the driver was bound anew the last time.
        fresh = fresh and not record.left
        if fresh:
            self._end(target, record)
        left = self._reset(target, record.before)
        if fresh:
            self._begin(target, record)
        if left:
            holder = f"nobody, but its PF does not take back: {', '.join(left)}"
            self._records.write(target.address, structs.replace(record, holder=holder, guest=None, left=tuple(left)))
        else:
            self._records.drop(target.address)
        return left

    def _end(self, target: Target, record: Record) -> None:
        device = self._kernel.vf(target.address)
        if device is None:
            raise Retryable(f"{target} has just gone")
        if device.driver == VFIO and device.group is not None and (pids := self._kernel.vfio_users(device.group)):
            # The kernel would wait for them, for good and not to be killed.
            raise Retryable(f"{target} is still in use by process {', '.join(map(str, pids))}")
        self._kernel.unbind(target.address)
        if device.override != record.override:
            self._kernel.override(target.address, record.override)

    def _begin(self, target: Target, record: Record) -> None:
        if record.driver is None:
            return
        link = self._kernel.bind(target.address, record.driver)
        if link is None:
            return
        if record.mtu is not None and link.mtu != record.mtu:
            self._kernel.set_link(link.index, mtu=record.mtu)
        if record.netdev is not None and link.name != record.netdev:
            try:
                self._kernel.set_link(link.index, up=False, name=record.netdev)
            except NetlinkFailed as error:
                # Somebody else is called so now, or udev is just naming it. It is found by its address anyway.
                log.info("VF has another name now", vf=target.vf, name=link.name, was=record.netdev, reason=error)

    def _reset(self, target: Target, before: VfState) -> list[str]:
        """Set everything back to `before`; gives in words what the driver refused."""
        left = []
        now = self._state(target)
        for setting in reversed(now.differences(before)):
            try:
                self._kernel.set_vf(target.pf_link.index, target.vf.index, setting, before)
            except NetlinkFailed as error:
                if _cannot_forget_mac(setting, before, error):
                    # Some drivers keep the last MAC that was set. The next guest's takes its place.
                    log.info("VF keeps its MAC", vf=target.vf, mac=now.settings.mac, reason=error)
                    continue
                log.warning("VF keeps a setting", vf=target.vf, setting=now.words(setting), reason=error)
                left.append(before.words(setting))
        return left

    def _forget(self, vf: VfId) -> None:
        """Of a VF that is not to be found: gone with its PF, or its PF's netdev is not where it was."""
        for address, record in self._records.of(str(vf)).items():
            if self._kernel.vf(address) is not None:
                raise Retryable(f"VF {vf} ({address}) is there, but its PF has no netdev here to set it through")
            log.info("VF is gone together with its PF", vf=vf, holder=record.holder)
            self._records.drop(address)


def _cannot_forget_mac(setting: Setting, before: VfState, error: NetlinkFailed) -> bool:
    return setting == "mac" and before.settings.mac is None and error.errno not in _PASSING
