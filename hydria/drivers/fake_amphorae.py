"""Agents in memory, one in each running server of a FakeCloud."""

import msgspec

from hydria.base.errors import Retryable, Terminal
from hydria.drivers.cloud import Server
from hydria.drivers.fakes import FakeCloud
from hydria.model.spec import VERSIONS, AgentConfig, Fault, Info, Interface, Observed, ObservedInterface, Spec
from hydria.model.spec_versions import Document, read


class FakeAmphorae:
    """drivers.amphora.AmphoraClient for the servers of `cloud`. Specs live and die with their server."""

    def __init__(self, cloud: FakeCloud, *, nftables: bool = True, versions: tuple[int, ...] = VERSIONS) -> None:
        self.cloud = cloud
        self.nftables = nftables
        self.versions = versions
        """Of the spec, that the agents know. Another one is refused, whatever they were told of it before."""
        self.documents: dict[str, Document] = {}
        """Amphora id → what it was given last, as it was worded."""
        self.silent: set[str] = set()
        """Amphorae whose agent does not answer."""
        self.faults: dict[str, Fault] = {}
        """Resource id → what every agent says of it as long as its spec holds it."""
        self.missing_nics: set[str] = set()
        """MAC addresses of NICs that are plugged and yet do not show up."""
        self._specs: dict[str, Spec] = {}

    @property
    def specs(self) -> dict[str, Spec]:
        """Amphora id → the spec it was given last; only of amphorae that run."""
        running = {server.id for server in self.cloud.servers if server.status == "ACTIVE"}
        return {spec.amphora_id: spec for id_, spec in self._specs.items() if id_ in running}

    def info(self, amphora_id: str, address: str) -> Info:
        with self.cloud.interruptions.call("info"):
            self._server(amphora_id, address)
            versions = self.versions
            return Info(agent_version="fake", spec_versions=versions, haproxy_version="2.6", nftables=self.nftables)

    def put_spec(self, address: str, document: Document) -> Observed:
        with self.cloud.interruptions.call("put_spec"):
            server = self._server(document.amphora_id, address)
            if document.version not in self.versions:
                raise Terminal(f"PUT /v1/spec at amphora {document.amphora_id}: 400 version {document.version}")
            spec = read(document.body)
            last = self._specs.get(server.id)
            if last is not None and spec.generation < last.generation:
                raise Retryable(
                    f"Amphora {spec.amphora_id} refused generation {spec.generation}: it has {last.generation}.",
                    after=0,
                )
            self._specs[server.id] = spec
            self.documents[document.amphora_id] = document
            return self._observed(server, spec)

    def observed(self, amphora_id: str, address: str) -> Observed:
        with self.cloud.interruptions.call("observed"):
            server = self._server(amphora_id, address)
            spec = self._specs.get(server.id)
            return self._observed(server, spec) if spec else Observed(amphora_id=amphora_id)

    def _server(self, amphora_id: str, address: str) -> Server:
        """The running server at `address`, if its agent has that amphora's certificate."""
        for guest in list(self.cloud.guests.values()):
            there = any(address in addresses for addresses in guest.server.addresses.values())
            if there and guest.server.status == "ACTIVE" and amphora_id not in self.silent:
                config = msgspec.json.decode(guest.request.files["/etc/hydria/agent.json"], type=AgentConfig)
                if config.amphora_id == amphora_id:
                    return guest.server
        raise Retryable(f"Amphora {amphora_id} at {address} does not answer.")

    def _observed(self, server: Server, spec: Spec) -> Observed:
        nics = {port.mac_address for port in list(self.cloud.ports.values()) if port.device_id == server.id}
        nics -= self.missing_nics
        known = {spec.load_balancer_id} | {listener.id for listener in spec.listeners}
        known |= {id_ for pool in spec.pools for id_ in (pool.id, *(member.id for member in pool.members))}
        return Observed(
            amphora_id=spec.amphora_id,
            generation=spec.generation,
            interfaces=tuple(self._seen(nic) for nic in spec.interfaces if nic.mac_address in nics),
            faults=(
                *(fault for id_, fault in self.faults.items() if id_ in known),
                *(_missing(nic) for nic in spec.interfaces if nic.mac_address not in nics),
            ),
        )

    def _seen(self, nic: Interface) -> ObservedInterface:
        carrier = self.cloud.has_link(nic.port_id)
        return ObservedInterface(
            mac_address=nic.mac_address, name=nic.name, addresses=nic.addresses, up=True, carrier=carrier
        )


def _missing(nic: Interface) -> Fault:
    return Fault(
        resource_type="interface", resource_id=nic.port_id, reason=f"No NIC has MAC address {nic.mac_address}."
    )
