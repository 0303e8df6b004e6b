"""Netlink, wrapped by typed functions: the one package on a host that imports pyroute2."""

from hydria.sriov.netlink.links import Link, Netlink, NetlinkFailed, Route

__all__ = ["Link", "Netlink", "NetlinkFailed", "Route"]
