"""Removes what an amphora had in the cloud, and looks once more a little later."""

import threading
import time
from collections.abc import Callable
from functools import partial

from hydria.base.errors import HydriaError, Retryable
from hydria.base.log import Logger
from hydria.controller import names
from hydria.controller.outside import Outside
from hydria.controller.parallel import together

_POLL = 0.03
_DELETE_SECONDS = 20.0
_LATER_SECONDS = 120.0
"""Longer than any call of a killed process may be under way."""
Remove = Callable[[Outside, str], int]
_GONE = (None, "DELETED", "SOFT_DELETED")

log = Logger(__name__)


def remove_amphora(outside: Outside, amphora_id: str, compute_id: str | None = None) -> int:
    """Its servers, then its ports, so that their VFs are free when this returns. Returns how many things there were."""
    cloud = outside.cloud
    servers = {server.id for server in cloud.find_servers(names.server(amphora_id))}
    if compute_id is not None:
        servers.add(compute_id)
    for server_id in servers:
        cloud.delete_server(server_id)
    deadline = time.monotonic() + _DELETE_SECONDS
    for server_id in servers:
        while (server := cloud.server(server_id)) is not None and server.status not in _GONE:
            if time.monotonic() > deadline:
                raise Retryable(f"Deleting server {server_id} of amphora {amphora_id}: it is still {server.status}.")
            outside.pause(_POLL)
    ports = cloud.find_ports(name=names.amphora_ports(amphora_id))
    together([partial(cloud.delete_port, port.id) for port in ports], instant=cloud.instant)
    return len(servers) + len(ports)


def remove_vip_port(outside: Outside, load_balancer_id: str, port_id: str | None = None) -> int:
    """The one that is ours: named so, or `port_id`."""
    ports = {port.id for port in outside.cloud.find_ports(name=names.vip_port(load_balancer_id))}
    if port_id is not None:
        ports.add(port_id)
    for id_ in ports:
        outside.cloud.delete_port(id_)
    return len(ports)


def remove_security_groups(outside: Outside, load_balancer_id: str) -> int:
    """After all ports that have it. Returns how many there were."""
    groups = outside.cloud.find_security_groups(names.security_group(load_balancer_id))
    for group in groups:
        outside.cloud.delete_security_group(group.id)
    return len(groups)


class Sweeper:
    """A call of a process that was killed may take effect after its successor has cleaned up: so ids that are done
    with are looked up once more. Only those: names say "octavia", and another Octavia's ports are not ours to judge.
    """

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._due: dict[tuple[Remove, str], float] = {}
        self._lock = threading.Lock()

    def amphora_removed(self, amphora_id: str) -> None:
        self._remember(remove_amphora, amphora_id)

    def vip_port_removed(self, load_balancer_id: str) -> None:
        self._remember(remove_vip_port, load_balancer_id)

    def security_groups_removed(self, load_balancer_id: str) -> None:
        self._remember(remove_security_groups, load_balancer_id)

    def _remember(self, remove: Remove, id_: str) -> None:
        with self._lock:
            self._due[remove, id_] = time.monotonic() + _LATER_SECONDS

    def sweep(self, now: float | None = None) -> int:
        """Look at all that are due. Returns how many things were left over."""
        now = time.monotonic() if now is None else now
        with self._lock:
            due = [key for key, at in self._due.items() if at <= now]
        found = 0
        for remove, id_ in due:
            try:
                left = remove(self._outside, id_)
            except HydriaError as error:
                log.warning("sweeping failed", id=id_, reason=error)
                continue
            with self._lock:
                self._due.pop((remove, id_), None)
            if left:
                log.warning("left over things removed", id=id_, number=left)
            found += left
        return found
