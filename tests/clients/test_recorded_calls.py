"""What python-openstackclient, python-octaviaclient and tempest sent, sent again word for word.

The tests that run the clients show those versions of them that are installed; these calls stay as they were. That a
host is added to an aggregate is not among them, as nothing that is pretended has hosts.
"""

from clients.replay import LOAD_BALANCER, Call, Replay
from clients.service import Service

LBAAS, OCTAVIA = f"{LOAD_BALANCER}/v2.0/lbaas", f"{LOAD_BALANCER}/v2.0/octavia"
COMPUTE, NETWORK, IMAGE, IDENTITY = "/compute/v2.1", "/networking/v2.0", "/image/v2", "/identity/v3"
AGGREGATES, FLAVORS = "compute 2.81", "compute 2.61"

# The network of that name that is there from the start has the only flat segment of the physical network.
NETWORK_OF_THAT_NAME = (
    Call("GET", f"{NETWORK}/networks?name=public", 200, keeps={"old": "networks.0.id"}),
    Call("DELETE", f"{NETWORK}/networks/$old", 204),
)
OPERATOR = (
    *NETWORK_OF_THAT_NAME,
    Call("GET", COMPUTE, 200, needs="version.version version.min_version version.links.0.href"),
    Call("POST", f"{COMPUTE}/os-aggregates", 200, {"aggregate": {"name": "sriov_aggregate"}}, version=AGGREGATES),
    Call("GET", f"{COMPUTE}/os-aggregates/sriov_aggregate", 404, version=AGGREGATES),
    Call(
        "GET",
        f"{COMPUTE}/os-aggregates",
        200,
        needs="aggregates.0.name",
        keeps={"aggregate": "aggregates.0.id"},
        version=AGGREGATES,
    ),
    Call(
        "POST",
        f"{COMPUTE}/os-aggregates/$aggregate/action",
        200,
        {"set_metadata": {"metadata": {"sriov-nic": "true"}}},
        needs="aggregate.metadata.sriov-nic",
    ),
    Call(
        "POST",
        f"{COMPUTE}/flavors",
        200,
        {
            "flavor": {
                "disk": 3,
                "os-flavor-access:is_public": False,
                "name": "sriov.amphora",
                "swap": 0,
                "OS-FLV-EXT-DATA:ephemeral": 0,
                "id": "amphora-sriov-flavor",
                "ram": 1024,
                "vcpus": 1,
            }
        },
        version=FLAVORS,
        shown_otherwise="swap",
    ),
    Call(
        "POST",
        f"{COMPUTE}/flavors/amphora-sriov-flavor/os-extra_specs",
        200,
        {"extra_specs": {"hw_rng:allowed": "True", "public-sriov": "true"}},
        version=FLAVORS,
    ),
    Call(
        "POST",
        f"{NETWORK}/networks",
        201,
        {
            "network": {
                "admin_state_up": True,
                "provider:physical_network": "public",
                "name": "public",
                "provider:network_type": "flat",
            }
        },
        keeps={"network": "network.id"},
    ),
    Call("GET", f"{NETWORK}/networks/public", 404),
    Call("GET", f"{NETWORK}/networks?name=public", 200, needs="networks.0.id networks.0.name"),
    Call(
        "POST",
        f"{NETWORK}/subnets",
        201,
        {
            "subnet": {
                "ip_version": 4,
                "network_id": "$network",
                "cidr": "203.0.113.0/24",
                "name": "public-subnet",
            }
        },
        needs="subnet.allocation_pools subnet.dns_nameservers subnet.host_routes",
    ),
    Call("GET", "/image", 300, needs="versions.0.id versions.0.status versions.0.links.0.rel versions.0.links.0.href"),
    Call(
        "POST",
        f"{IMAGE}/images",
        201,
        {
            "disk_format": "qcow2",
            "tags": ["amphora"],
            "container_format": "bare",
            "name": "amphora-x64-haproxy",
            "owner_specified.openstack.md5": "",
            "owner_specified.openstack.sha256": "",
            "owner_specified.openstack.object": "images/amphora-x64-haproxy",
        },
        keeps={"image": "id"},
    ),
    Call("PUT", f"{IMAGE}/images/$image/file", 204, bytes(4096)),
    Call("GET", f"{IMAGE}/images/$image", 200, needs="status"),
    Call(
        "POST",
        f"{LBAAS}/flavorprofiles",
        201,
        {
            "flavorprofile": {
                "name": "amphora-sriov-profile",
                "provider_name": "amphora",
                "flavor_data": '{"compute_flavor": "amphora-sriov-flavor", "sriov_vip": true,'
                ' "allow_member_sriov": true}',
            }
        },
    ),
    Call(
        "GET",
        f"{LBAAS}/flavorprofiles?name=amphora-sriov-profile",
        200,
        keeps={"profile": "flavorprofiles.0.id"},
    ),
    Call(
        "POST",
        f"{LBAAS}/flavors",
        201,
        {
            "flavor": {
                "name": "SRIOV-public-members",
                "flavor_profile_id": "$profile",
                "description": "SR-IOV",
                "enabled": True,
            }
        },
    ),
)
USER = (
    Call("GET", f"{NETWORK}/subnets?name=public-subnet", 200, keeps={"subnet": "subnets.0.id"}),
    Call("GET", f"{LBAAS}/flavors?name=SRIOV-public-members", 200, keeps={"flavor": "flavors.0.id"}),
    Call(
        "POST",
        f"{LBAAS}/loadbalancers",
        201,
        {"loadbalancer": {"name": "lb1", "vip_subnet_id": "$subnet", "admin_state_up": True, "flavor_id": "$flavor"}},
        needs="loadbalancer.id",
    ),
    Call("GET", f"{LBAAS}/loadbalancers?name=lb1", 200, keeps={"lb1": "loadbalancers.0.id"}),
    Call("GET", f"{LBAAS}/loadbalancers/$lb1", 200, needs="loadbalancer.provisioning_status"),
    Call(
        "POST",
        f"{LBAAS}/listeners",
        201,
        {
            "listener": {
                "loadbalancer_id": "$lb1",
                "name": "listener1",
                "protocol": "HTTP",
                "protocol_port": 80,
                "admin_state_up": True,
            }
        },
    ),
    Call("GET", f"{LBAAS}/listeners?name=listener1", 200, keeps={"listener1": "listeners.0.id"}),
    Call(
        "POST",
        f"{LBAAS}/pools",
        201,
        {
            "pool": {
                "name": "pool2",
                "protocol": "HTTP",
                "listener_id": "$listener1",
                "lb_algorithm": "ROUND_ROBIN",
                "admin_state_up": True,
            }
        },
    ),
    Call("GET", f"{LBAAS}/pools?name=pool2", 200, keeps={"pool2": "pools.0.id"}),
    Call(
        "POST",
        f"{LBAAS}/pools/$pool2/members",
        201,
        {"member": {"address": "192.0.2.11", "subnet_id": "$subnet", "protocol_port": 80, "request_sriov": True}},
        keeps={"member": "member.id"},
    ),
    Call(
        "GET",
        f"{LBAAS}/loadbalancers/$lb1/status",
        200,
        needs="statuses.loadbalancer.listeners.0.pools.0.members.0.id",
        keeps={"lb1": "statuses.loadbalancer.id"},
    ),
)
LISTS = (
    Call("GET", f"{OCTAVIA}/amphorae", 200, needs="amphorae.0.id"),
    Call("GET", f"{LBAAS}/loadbalancers", 200, needs="loadbalancers.0.id"),
    Call(
        "GET",
        f"{COMPUTE}/servers/detail?deleted=False&all_tenants=True",
        200,
        needs="servers",
        version="compute 2.100",
    ),
    Call("GET", f"{IMAGE}/images?id=in%3A$image", 200, needs="images.0.id"),
    Call("GET", f"{COMPUTE}/flavors/detail?is_public=None", 200, needs="flavors.0.id", version=FLAVORS),
    Call(
        "GET",
        f"{NETWORK}/ports?fields=id&fields=name&fields=mac_address&fields=fixed_ips&fields=status",
        200,
        needs="ports",
    ),
    Call("GET", f"{NETWORK}/networks", 200, needs="networks.0.name"),
    Call("GET", f"{LBAAS}/flavors", 200, needs="flavors.0.name"),
    Call("GET", f"{LBAAS}/providers", 200, needs="providers.0.name"),
)
PROJECT, USER_OF_IT, ROLE = "tempest-AvailabilityZoneAPITest-41798031", "-project-admin", "tempest-role-1794401445"
TEMPEST = (
    Call("GET", f"{IDENTITY}/domains?name=Default", 200, keeps={"domain": "domains.0.id"}),
    Call("GET", f"{IDENTITY}/roles?name={ROLE}", 200, needs="roles"),
    Call("POST", f"{IDENTITY}/roles", 201, {"role": {"name": ROLE}}, keeps={"role": "role.id"}),
    Call("GET", f"{IDENTITY}/roles", 200, needs="roles.0.name"),
    Call("GET", f"{IDENTITY}/roles/$role", 200, needs="role.name"),
    Call(
        "POST",
        f"{IDENTITY}/projects",
        201,
        {"project": {"description": f"{PROJECT}-desc", "domain_id": "default", "name": PROJECT}},
        keeps={"its_project": "project.id"},
    ),
    Call(
        "POST",
        f"{IDENTITY}/users",
        201,
        {"user": {"name": PROJECT + USER_OF_IT, "password": "M0#&8*8QexZQ*Jk", "domain_id": "default"}},
        keeps={"user": "user.id"},
    ),
    Call("PUT", f"{IDENTITY}/projects/$its_project/users/$user/roles/$role", 204),
    Call(
        "GET",
        f"{IDENTITY}/role_assignments?scope.project.id=$its_project&user.id=$user",
        200,
        needs="role_assignments.0.role.id role_assignments.0.user.id role_assignments.0.scope.project.id",
    ),
    Call(
        "POST",
        f"{IDENTITY}/auth/tokens",
        201,
        {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {
                        "user": {
                            "name": PROJECT + USER_OF_IT,
                            "domain": {"name": "Default"},
                            "password": "M0#&8*8QexZQ*Jk",
                        }
                    },
                },
                "scope": {"project": {"name": PROJECT, "domain": {"name": "Default"}}},
            }
        },
        needs="token.user.id token.project.id token.expires_at token.roles.0.name token.catalog.0.endpoints.0.url",
    ),
    Call("DELETE", f"{IDENTITY}/users/$user", 204),
    Call("DELETE", f"{IDENTITY}/projects/$its_project", 204),
    Call("DELETE", f"{IDENTITY}/roles/$role", 204),
    Call("GET", f"{IDENTITY}/roles/$role", 404),
)


def test_the_guide(service: Service) -> None:
    with Replay(service.clouds, "admin") as replay:
        kept = replay((*OPERATOR, *USER), {})
        service.await_shown(f"/loadbalancers/{kept['lb1']}", {"provisioning_status": "ACTIVE"})
        replay(LISTS, kept)
    member = f"/pools/{kept['pool2']}/members/{kept['member']}"
    service.await_shown(member, {"provisioning_status": "ACTIVE", "vnic_type": "direct"})


def test_users_of_tempest(service: Service) -> None:
    with Replay(service.clouds, "admin") as replay:
        replay(TEMPEST, {})
