"""devlink(8): how a NIC's embedded switch works."""

from pathlib import Path
from typing import Literal

from pyroute2 import NetlinkError
from pyroute2.devlink import DL
from pyroute2.netlink import NLM_F_REQUEST
from pyroute2.netlink.devlink import DEVLINK_NAMES, devlinkcmd

from hydria.sriov import namespaces

Mode = Literal["legacy", "switchdev"]
_MODES: dict[int, Mode] = {0: "legacy", 1: "switchdev"}


def eswitch_mode(namespace: Path, address: str) -> Mode | None:
    """Of the NIC at this PCI address; None: its driver, or this kernel, has no devlink, or it has no eswitch."""
    return namespaces.inside(namespace, lambda: _ask(address))


def _ask(address: str) -> Mode | None:
    try:
        with DL() as devlink:
            request = devlinkcmd()
            request["cmd"] = DEVLINK_NAMES["DEVLINK_CMD_ESWITCH_GET"]
            request["attrs"] = [("DEVLINK_ATTR_BUS_NAME", "pci"), ("DEVLINK_ATTR_DEV_NAME", address)]
            answers = list(devlink.nlm_request(request, msg_type=devlink.prid, msg_flags=NLM_F_REQUEST))
    except (NetlinkError, OSError):
        # igb: ENODEV, having none; a driver with devlink but without eswitch: EOPNOTSUPP; no family: ENOENT.
        return None
    return next((_MODES.get(answer.get_attr("DEVLINK_ATTR_ESWITCH_MODE")) for answer in answers), None)
