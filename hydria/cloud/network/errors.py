"""The network service's errors. A class bears the name that Neutron puts into an error's `type`."""

from hydria.base.errors import Conflict, Forbidden, Invalid, NotFound, Retryable


class NetworkNotFound(NotFound):
    pass


class SubnetNotFound(NotFound):
    pass


class PortNotFound(NotFound):
    pass


class SecurityGroupNotFound(NotFound):
    pass


class SecurityGroupRuleNotFound(NotFound):
    pass


class QosPolicyNotFound(NotFound):
    pass


class QosRuleNotFound(NotFound):
    pass


class TagNotFound(NotFound):
    pass


class HTTPBadRequest(Invalid):
    pass


class InvalidInput(Invalid):
    pass


class InvalidIpForNetwork(Invalid):
    pass


class InvalidIpForSubnet(Invalid):
    pass


class InvalidAllocationPool(Invalid):
    pass


class OutOfBoundsAllocationPool(Invalid):
    pass


class SecurityGroupRuleInvalidEtherTypeForProtocol(Invalid):
    pass


class SecurityGroupInvalidPortRange(Invalid):
    pass


class OverlappingAllocationPools(Conflict):
    pass


class GatewayConflictWithAllocationPools(Conflict):
    pass


class IpAddressAlreadyAllocated(Conflict):
    pass


class IpAddressGenerationFailure(Conflict):
    pass


class MacAddressInUse(Conflict):
    pass


class SubnetInUse(Conflict):
    pass


class NetworkInUse(Conflict):
    pass


class FlatNetworkInUse(Conflict):
    pass


class VlanIdInUse(Conflict):
    pass


class SecurityGroupInUse(Conflict):
    pass


class SecurityGroupDefaultAlreadyExists(Conflict):
    pass


class SecurityGroupRuleExists(Conflict):
    pass


class SecurityGroupCannotRemoveDefault(Conflict):
    pass


class QosPolicyInUse(Conflict):
    pass


class QoSRuleParameterConflict(Conflict):
    pass


class PortBound(Conflict):
    pass


class PolicyNotAuthorized(Forbidden):
    pass


class NoNetworkAvailable(Retryable):
    pass


class PortSecurityPortHasSecurityGroup(Conflict):
    pass


class AddressPairAndPortSecurityRequired(Conflict):
    pass
