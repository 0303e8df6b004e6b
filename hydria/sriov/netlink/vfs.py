"""What a PF says of its VFs and lets be set: the IFLA_VFINFO_LIST of rtnetlink."""

from typing import Any, Literal

from msgspec import Struct, structs

from hydria.sriov.inventory import VfCounters, VfSettings
from hydria.sriov.netlink.links import Netlink

Setting = Literal["vlan", "spoofchk", "trust", "mac", "rate", "link_state"]

ORDER: tuple[Setting, ...] = ("vlan", "spoofchk", "trust", "mac", "rate", "link_state")
"""That drivers need: i40e resets the VF with its VLAN, which drops what the MAC brought; igb and ixgbe write the VLAN's
queue bits that the spoof check is then set on; a rate is refused by some until the VF is complete."""

_LINK_STATES: tuple[Literal["auto", "enable", "disable"], ...] = ("auto", "enable", "disable")
_NO_MAC = "00:00:00:00:00:00"
_SAYS_NOTHING = 0xFFFFFFFF
"""What rtnetlink shows for a setting that the driver has not filled in: -1, unsigned."""

_FILTER_VF, _FILTER_SKIP_STATS = 1 << 0, 1 << 3


class VfState(Struct, frozen=True, kw_only=True):
    """Everything that a PF keeps of one VF."""

    settings: VfSettings = VfSettings()
    vlan_qos: int = 0

    def value(self, setting: Setting) -> dict[str, Any]:
        """As rtnetlink has it; equal values are equal settings."""
        now = self.settings
        match setting:
            case "vlan":
                return {"vlan": now.vlan, "qos": self.vlan_qos}
            case "rate":
                return {"min_tx_rate": now.min_tx_rate, "max_tx_rate": now.max_tx_rate}
            case "link_state":
                return {"link_state": _LINK_STATES.index(now.link_state)}
            case "mac":
                # Zeros are what a PF says of a VF that it has given no MAC, and how it is told to forget one.
                return {"mac": now.mac or _NO_MAC}
            case "spoofchk":
                return {"spoofchk": int(now.spoofchk)}
            case "trust":
                return {"trust": int(now.trust)}

    def words(self, setting: Setting) -> str:
        """As `ip link set PF vf N` has it.

        >>> VfState(settings=VfSettings(max_tx_rate=100)).words("rate")
        'min_tx_rate 0, max_tx_rate 100'
        """
        if setting == "link_state":
            return f"link_state {self.settings.link_state}"
        return ", ".join(f"{name} {value}" for name, value in self.value(setting).items())

    def differences(self, other: "VfState") -> list[Setting]:
        """Settings that are not the same, in the order in which to set them."""
        return [setting for setting in ORDER if self.value(setting) != other.value(setting)]

    def with_settings(self, wanted: VfSettings) -> "VfState":
        """What the VF is after `wanted` was set: a MAC of None leaves that which it has."""
        mac = wanted.mac.lower() if wanted.mac else self.settings.mac
        qos = self.vlan_qos if wanted.vlan == self.settings.vlan else 0
        return VfState(settings=structs.replace(wanted, mac=mac, mtu=None), vlan_qos=qos)


class PfNetlink(Netlink):
    """A conversation that is also about the VFs of a PF, which is meant by its ifindex."""

    def states(self, pf: int) -> dict[int, VfState]:
        """By index of the VF, as the PF reports them now."""
        # Without statistics: with them the 64 KiB of one attribute are full at about 150 VFs.
        return dict(_state(info) for info in self._infos(pf, _FILTER_VF | _FILTER_SKIP_STATS))

    def counters(self, pf: int) -> dict[int, VfCounters]:
        infos = self._infos(pf, _FILTER_VF)
        return {_part(info, "MAC")["vf"]: _counters(stats) for info in infos if (stats := _part(info, "STATS"))}

    def set_vf(self, pf: int, index: int, setting: Setting, state: VfState) -> None:
        """Set one of `state`'s settings. Raises NetlinkFailed when the PF's driver refuses."""
        value = state.value(setting)
        change: dict[str, Any] = {setting: value} if setting in ("vlan", "rate") else value
        attempt = f"Set VF {index} of link {pf} to {state.words(setting)}"
        self._ask(attempt, lambda: self._route.link("set", index=pf, vf={"vf": index, **change}))

    def _infos(self, pf: int, mask: int) -> list[Any]:
        found = self._ask(f"List VFs of link {pf}", lambda: list(self._route.get_links(pf, ext_mask=mask)))
        vfs = found[0].get_attr("IFLA_VFINFO_LIST") if found else None
        return vfs.get_attrs("IFLA_VF_INFO") if vfs else []


def _part(info: Any, name: str) -> Any:
    return info.get_attr(f"IFLA_VF_{name}") or {}


def _state(info: Any) -> tuple[int, VfState]:
    mac, vlan, rate = (_part(info, name) for name in ("MAC", "VLAN", "RATE"))
    link_state = _part(info, "LINK_STATE").get("link_state", 0)
    settings = VfSettings(
        mac=None if mac["mac"] == _NO_MAC else mac["mac"],
        vlan=vlan.get("vlan", 0),
        spoofchk=_flag(info, "spoofchk", default=True),
        trust=_flag(info, "trust", default=False),
        link_state=_LINK_STATES[link_state if link_state < len(_LINK_STATES) else 0],
        min_tx_rate=rate.get("min_tx_rate", 0),
        max_tx_rate=rate.get("max_tx_rate", 0),
    )
    return mac["vf"], VfState(settings=settings, vlan_qos=vlan.get("qos", 0))


def _flag(info: Any, name: str, *, default: bool) -> bool:
    value = _part(info, name.upper()).get(name, _SAYS_NOTHING)
    return default if value == _SAYS_NOTHING else bool(value)


def _counters(stats: Any) -> VfCounters:
    names = ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped")
    return VfCounters(**{name: stats.get_attr(f"IFLA_VF_STATS_{name.upper()}") for name in names})
