"""Makes servers real: build, stop, start, reboot, delete, attach, detach, and the undoing of what was interrupted.

Each step may run twice and what is half done is told by the rows alone, so that `recover`, at the start of the
program, ends every interrupted step. One server's steps never run at the same time.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from hydria.base import log
from hydria.base.errors import HydriaError
from hydria.cloud.compute.placement import Placement, claim_of
from hydria.cloud.compute.resources import (
    DEFAULT_ZONE,
    NOSTATE,
    RUNNING,
    SHUTDOWN,
    Fault,
    Interface,
    Request,
    Server,
    servers,
)
from hydria.cloud.compute.wiring import Wiring
from hydria.cloud.hypervisor import guest
from hydria.cloud.hypervisor.guest import Guest, Hypervisor, Machine, NicFacts
from hydria.cloud.hypervisor.watcher import Watcher
from hydria.cloud.resource import now
from hydria.sriov.claims import NoFreeVf
from hydria.sriov.inventory import VfId, strays

logger = log.Logger(__name__)

WORKERS = 8
ENDED = "process ended"


class Lifecycle:
    def __init__(self, placement: Placement, wiring: Wiring, hypervisor: Hypervisor) -> None:
        self.placement = placement
        self.hypervisor = hypervisor
        self._database = placement.database
        self._wiring = wiring
        self._locks: dict[str, threading.RLock] = {}
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="server")
        self._watcher = Watcher(lambda server_id, child: self.submit(self.ended, server_id, child))

    # -- the program's life

    def start(self) -> None:
        self._watcher.start()
        self.recover()

    def close(self) -> None:
        """Guests live on."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._watcher.close()

    def submit(self, step: Callable[..., None], server_id: str, *arguments: object) -> None:
        """Run a step in the background."""

        def run() -> None:
            with log.context(server_id=server_id):
                try:
                    step(server_id, *arguments)
                except Exception as error:
                    logger.exception("server step failed", step=step.__name__)
                    self._fail(server_id, f"{step.__name__}: {error}")

        with contextlib.suppress(RuntimeError):  # the pool is closed: `recover` will do it at the next start
            self._pool.submit(run)

    @contextlib.contextmanager
    def exclusively(self, server_id: str) -> Iterator[Server | None]:
        """The server as it is now, for as long as nobody else changes it."""
        with self._locks.setdefault(server_id, threading.RLock()):
            with self._database.read() as connection:
                server = servers.get(connection, server_id)
            yield server

    # -- steps

    def build(self, server_id: str) -> None:
        with self.exclusively(server_id) as server:
            refused: dict[str, str] = {}
            while server is not None and server.task_state == "scheduling":
                try:
                    self._boot(self.placement.place(server, refused))
                except NoFreeVf as error:
                    refused[server.host or ""] = error.message
                    self._unplace(server)
                except HydriaError as error:
                    self._undo(server)
                    self._fail(server_id, error.message, host=None)
                    return

    def delete(self, server_id: str) -> None:
        with self.exclusively(server_id) as server:
            if server is None:
                return
            self._end_guest(server)
            with self._database.begin() as connection:
                for interface in self.placement.interfaces(server_id):
                    self.placement.release(interface)
                servers.delete(connection, server_id)
            self.hypervisor.remove(server_id)
        self._locks.pop(server_id, None)

    def power_off(self, server_id: str) -> None:
        with self.exclusively(server_id) as server:
            if server is not None and server.task_state == "powering-off":
                if server.guest is not None:
                    self.hypervisor.shut_down(server.guest, server_id)
                self._end_guest(server, vm_state="stopped", task_state=None, power_state=SHUTDOWN)

    def power_on(self, server_id: str) -> None:
        """Also the second half of a reboot."""
        with self.exclusively(server_id) as server:
            if server is None or server.task_state not in {"powering-on", "rebooting", "rebooting_hard"}:
                return
            self._end_guest(server)
            try:
                self._boot(server)
            except HydriaError as error:
                self._end_guest(server)
                self._fail(server_id, error.message)

    def attach(self, server: Server, request: Request) -> Interface:
        """For the caller of `exclusively`. Raises NoFreeVf, PortInUse, Retryable, Terminal; then nothing is left."""
        interface = self.placement.add(server, request)
        try:
            self._plug(server, interface)
        except HydriaError:
            self.detach(interface)
            raise
        self.placement.mark(interface, "attached")
        return interface

    def detach(self, interface: Interface) -> None:
        """For the caller of `exclusively`. May run twice. Raises Retryable while the guest does not let go of the NIC.

        The NIC is "detaching" then, until a later call or the guest's end.
        """
        self.placement.mark(interface, "detaching")
        self._unplug(interface)
        self.placement.release(interface)

    def port_deleted(self, port_id: str, server_id: str) -> None:
        """Somebody deleted the port of a NIC: the NIC and its VF claim go too, at the latest with the guest."""
        with self.exclusively(server_id):
            for interface in self.placement.interfaces(server_id):
                if interface.id == port_id:
                    self._try_to_detach(interface)

    def _try_to_detach(self, interface: Interface) -> None:
        try:
            self.detach(interface)
        except HydriaError as error:
            logger.warning("NIC stays with its guest", port_id=interface.id, reason=error.message)

    def port_changed(self, port_id: str, server_id: str) -> None:
        """Settings of a NIC's port changed: a VF that the guest has gets them now, any other when it is plugged."""
        with self.exclusively(server_id) as server:
            for interface in self.placement.interfaces(server_id):
                child = None if server is None else server.guest
                if child is None or (interface.id, interface.state) != (port_id, "attached"):
                    continue
                nic = self.placement.nic(interface)
                try:
                    if nic is not None:
                        self._wiring.set_anew(nic, server_id=server_id, child=child)
                except HydriaError as error:
                    # The guest goes on with the settings that it had: better than to go without its NIC.
                    logger.warning("settings of a port not applied", port_id=port_id, reason=error.message)

    def ended(self, server_id: str, child: Guest) -> None:
        """A guest ended that nobody told to. Its VFs stay claimed: the server can be started again."""
        with self.exclusively(server_id) as server:
            if server is None or server.guest != child or guest.alive(child):
                return
            logger.warning("server's process ended", pid=child.pid)
            if server.task_state is None:
                self._end_guest(server, vm_state="stopped", power_state=SHUTDOWN, fault=_fault(ENDED))

    # -- after a start of the program

    def recover(self) -> None:
        """Take back what nobody claims; then, in the background, end what was interrupted and adopt what runs."""
        with self._database.read() as connection:
            known = servers.select(connection)
            claimed = self.placement.hosts.claimed(connection)
        for server_id in self.hypervisor.servers() - {server.id for server in known}:
            self.hypervisor.remove(server_id)
        try:
            for pfs in self.placement.hosts.inventory().values():
                self._wiring.take_back(strays(pfs, claimed))
            self._wiring.unplug_all_but(self.placement.port_ids())
        except HydriaError as error:
            logger.warning("NICs cannot be read: nobody looks for lost ones now", reason=error.message)
        for server in known:
            self._recover(server)

    def _recover(self, server: Server) -> None:
        resume: dict[str, Callable[[str], None]] = {
            "deleting": self.delete,
            "powering-off": self.power_off,
            "powering-on": self.power_on,
            "rebooting": self.power_on,
            "rebooting_hard": self.power_on,
            "scheduling": self.build,
            "spawning": self._rebuild,
        }
        self.submit(resume[server.task_state] if server.task_state else self._settle, server.id)

    def _settle(self, server_id: str) -> None:
        """No step was under way but perhaps an attach or a detach, whose caller got no answer: both end detached."""
        with self.exclusively(server_id) as server:
            for interface in self.placement.interfaces(server_id):
                if interface.state != "attached":
                    self._try_to_detach(interface)
            if server is not None and server.guest is not None:
                self._watcher.watch(server_id, server.guest)

    def _rebuild(self, server_id: str) -> None:
        with self.exclusively(server_id) as server:
            if server is not None and server.task_state == "spawning":
                self._unplace(server)
        self.build(server_id)

    # -- parts of steps

    def _boot(self, server: Server) -> None:
        with self.hypervisor.booting(self._machine(server)) as child:
            # Before anything is plugged: whoever finds these rows has to find the guest too.
            self.placement.store(server, pid=child.pid, started=child.started)
            for interface in self.placement.interfaces(server.id):
                self._plug(server, interface)
            self._pin(server, child)
        with self._database.begin():
            for interface in self.placement.interfaces(server.id):
                self.placement.mark(interface, "attached")
            self.placement.store(
                server, vm_state="active", task_state=None, power_state=RUNNING, fault=None, launched_at=now()
            )
        self._watcher.watch(server.id, child)
        logger.info("server runs", pid=child.pid, host=server.host)

    def _machine(self, server: Server) -> Machine:
        nics = (self.placement.nic(interface) for interface in self.placement.interfaces(server.id))
        return Machine(
            server.id,
            hostname(server.name),
            server.flavor.vcpus,
            server.flavor.ram,
            disk=server.flavor.disk,
            zone=server.zone or DEFAULT_ZONE,
            project_id=server.project_id,
            metadata=server.metadata,
            nics=tuple(NicFacts(nic.port_id, nic.mac, nic.mtu, nic.addresses) for nic in nics if nic is not None),
        )

    def _plug(self, server: Server, interface: Interface) -> None:
        """A VF that cannot be had is given up for another one of the host, each tried once. Raises NoFreeVf then."""
        failed: dict[VfId, str] = {}
        while (child := server.guest) is not None and (nic := self.placement.nic(interface)) is not None:
            try:
                self._wiring.plug(nic, server_id=server.id, child=child)
            except HydriaError as error:
                if nic.vf is None or not guest.alive(child):
                    raise
                logger.warning("VF cannot be had, another one is tried", vf=nic.vf, reason=error.message)
                failed[nic.vf] = error.message
                if nic.addresses:
                    # What failed may have been the addresses: then the guest has the VF.
                    self._unplug(interface)
            else:
                return
            self.placement.reclaim(server, interface, failed)

    def _unplug(self, interface: Interface) -> None:
        self._wiring.unplug(interface.id, claim_of(interface), server_id=interface.server_id)

    def _pin(self, server: Server, child: Guest) -> None:
        """The guest's CPUs near its first VF. Nothing runs in the guest yet, so its memory will be near too."""
        if len(self.hypervisor.nodes()) > 1 and (node := self.placement.numa_node(server)) is not None:
            self.hypervisor.pin(child, node)

    def _end_guest(self, server: Server, **values: object) -> None:
        """No process and no NIC of the server is left; its books stay. May run twice."""
        if server.guest is not None:
            self.hypervisor.kill(server.guest)
        for interface in self.placement.interfaces(server.id):
            self._unplug(interface)
            if interface.state == "detaching":
                # The guest did not let go of it while it ran.
                self.placement.release(interface)
        self.placement.store(server, pid=None, started=None, **values)

    def _undo(self, server: Server) -> None:
        """Of a build: nothing is left but the server's own row and files. May run twice."""
        self._end_guest(server)
        with self._database.begin():
            for interface in self.placement.interfaces(server.id):
                self.placement.release(interface)

    def _unplace(self, server: Server) -> None:
        """Undo a build, then it can begin anew."""
        self._undo(server)
        self.placement.store(server, host=None, task_state="scheduling")

    def _fail(self, server_id: str, message: str, **values: object) -> None:
        with self._database.begin() as connection:
            server = servers.get(connection, server_id)
            if server is not None:
                logger.warning("server is in ERROR", reason=message)
                power = NOSTATE if server.pid is None else RUNNING
                fault = _fault(message)
                self.placement.store(
                    server, vm_state="error", task_state=None, power_state=power, fault=fault, **values
                )


def _fault(message: str) -> Fault:
    return Fault(code=500, message=message, created=now())


def hostname(name: str) -> str:
    """As Nova makes one of a server's name: what may stand in DNS, at most 63 characters.

    >>> hostname("Amphora 1: Ünï!")
    'amphora-1-n'
    """
    kept = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-.") else "-" if letter in " _" else ""
        for letter in name
    )
    return kept.lower().strip("-.")[:63] or "server"
