"""An amphora that the test itself boots from the image and tells what to be, as a controller does: Hydria's has no
part in it, so what it is after a restart it has from its own disk."""

import contextlib
import ipaddress
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from e2e.scene import insist
from hydria.base.errors import Retryable
from hydria.cli.demo.stage import await_condition
from hydria.drivers.amphora_client import HttpsAmphoraClient
from hydria.drivers.certificates import ensure_ca
from hydria.drivers.cloud import FixedIp, Port, PortRequest, ServerRequest
from hydria.drivers.openstack import OpenStackCloud
from hydria.model.load_balancer import VnicType
from hydria.model.spec import (
    VIP_INTERFACE,
    AgentConfig,
    Interface,
    ListenerSpec,
    MemberSpec,
    Observed,
    PoolSpec,
    Spec,
)
from hydria.model.spec_versions import for_agent
from image.vm_scene import VmScene

BOOT_SECONDS = 60.0


@dataclass(frozen=True)
class OwnAmphora:
    id: str
    server_id: str
    address: str
    """In the management network."""
    cloud: OpenStackCloud
    client: HttpsAmphoraClient

    def observed(self) -> Observed:
        return insist(lambda: self.client.observed(self.id, self.address))

    def answers(self) -> bool:
        try:
            self.client.info(self.id, self.address)
        except Retryable:
            return False
        return True

    def await_agent(self) -> None:
        await_condition(f"the agent at {self.address} answers", self.answers, BOOT_SECONDS, 0.05)

    def put(self, generation: int, vip: Port, members: Sequence[Port], backends: Sequence[str]) -> Observed:
        """The NICs' names by their order here, whatever the machine calls them."""
        interfaces = [interface(vip, VIP_INTERFACE, carries=vip.allowed_addresses)]
        interfaces += [interface(port, f"eth{number}") for number, port in enumerate(members, 2)]
        pool = PoolSpec(
            id=str(uuid.UUID(int=1)),
            protocol="HTTP",
            lb_algorithm="ROUND_ROBIN",
            members=tuple(
                MemberSpec(id=str(uuid.UUID(int=number)), address=address, protocol_port=80)
                for number, address in enumerate(backends, 100)
            ),
        )
        listener = ListenerSpec(id=str(uuid.UUID(int=2)), protocol="HTTP", protocol_port=80, default_pool_id=pool.id)
        spec = Spec(
            amphora_id=self.id,
            load_balancer_id=str(uuid.UUID(int=3)),
            generation=generation,
            interfaces=tuple(interfaces),
            listeners=(listener,),
            pools=(pool,),
        )
        taken = self.client.info(self.id, self.address).spec_versions
        return self.client.put_spec(self.address, for_agent(spec, taken))


def interface(port: Port, name: str, carries: Sequence[str] = ()) -> Interface:
    lengths = {4: 24, 6: 64}
    addresses = [ipaddress.ip_address(ip.ip_address or "") for ip in port.fixed_ips]
    return Interface(
        mac_address=port.mac_address,
        name=name,
        port_id=port.id,
        network_id=port.network_id,
        vnic_type=port.vnic_type,
        addresses=tuple(f"{address}/{lengths[address.version]}" for address in addresses),
        vips=tuple(carries),
    )


@contextlib.contextmanager
def booted(scene: VmScene) -> Iterator[OwnAmphora]:
    """A server with nothing but its management NIC, whose agent answers; afterwards it is gone."""
    config, amphora_id = scene.stage.config, str(uuid.uuid4())
    authority = ensure_ca(Path(config.certificates.directory))
    agent = AgentConfig(amphora_id=amphora_id, heartbeat_key=authority.heartbeat_key)
    files = {
        "/etc/hydria/agent.json": msgspec.json.encode(agent).decode(),
        agent.certificate: authority.issue(amphora_id, 1).pem,
        agent.ca_certificate: authority.ca_pem,
    }
    with contextlib.ExitStack() as stack:
        cloud = OpenStackCloud(config.identity)
        stack.callback(cloud.close)
        client = HttpsAmphoraClient(authority.client_context())
        stack.callback(client.close)
        network = cloud.network(config.controller.management_network)
        image = cloud.image_by_tag(config.controller.image_tag)
        assert network is not None
        assert image is not None
        request = ServerRequest(
            name="own-amphora",
            flavor=config.controller.compute_flavor,
            image_id=image,
            networks=(network.id,),
            files=files,
        )
        server_id = cloud.create_server(request).id
        stack.callback(_delete, cloud, server_id)
        address = _await_active(cloud, server_id, network.name)
        made = OwnAmphora(amphora_id, server_id, address, cloud, client)
        made.await_agent()
        yield made


def _await_active(cloud: OpenStackCloud, server_id: str, network: str) -> str:
    def is_active() -> bool:
        server = cloud.server(server_id)
        assert server is not None
        assert server.status in {"BUILD", "ACTIVE"}, server.fault
        return server.status == "ACTIVE"

    await_condition(f"server {server_id} is ACTIVE", is_active, BOOT_SECONDS, 0.05)
    server = cloud.server(server_id)
    assert server is not None
    (address,) = server.addresses[network]
    return address


def _delete(cloud: OpenStackCloud, server_id: str) -> None:
    cloud.delete_server(server_id)
    await_condition(f"server {server_id} is gone", lambda: cloud.server(server_id) is None, 30.0, 0.05)


@contextlib.contextmanager
def port(amphora: OwnAmphora, subnet_id: str, kind: VnicType, vip: str | None = None) -> Iterator[Port]:
    subnet = amphora.cloud.subnet(subnet_id)
    assert subnet is not None
    request = PortRequest(
        network_id=subnet.network_id,
        name=f"own-{uuid.uuid4()}",
        device_owner="",
        fixed_ips=(FixedIp(subnet_id=subnet_id),),
        vnic_type=kind,
        allowed_addresses=(vip,) if vip else (),
    )
    made = amphora.cloud.create_port(request)
    try:
        yield made
    finally:
        amphora.cloud.delete_port(made.id)


def detached(amphora: OwnAmphora, plugged: Port) -> bool:
    """Whether the machine no longer has it."""
    amphora.cloud.detach_port(amphora.server_id, plugged.id)
    return plugged.mac_address not in {one.mac_address for one in amphora.observed().interfaces}
