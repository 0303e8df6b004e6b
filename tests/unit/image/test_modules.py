"""Which kernel modules an amphora keeps."""

from pathlib import Path

import pytest

from hydria.image.modules import NICS, MissingDriver, chosen, name_of, parse, trim

MODULES_DEP = """\
kernel/drivers/net/ethernet/intel/igbvf/igbvf.ko:
kernel/drivers/net/ethernet/intel/igb/igb.ko: kernel/drivers/i2c/algos/i2c-algo-bit.ko kernel/drivers/dca/dca.ko
kernel/drivers/net/ethernet/sis/sis900.ko: kernel/drivers/net/mii.ko
kernel/drivers/net/mii.ko:
kernel/drivers/net/wireless/intel/iwlwifi/iwlwifi.ko.xz: kernel/net/wireless/cfg80211.ko.xz
kernel/drivers/net/xen-netfront.ko:
kernel/drivers/i2c/algos/i2c-algo-bit.ko:
kernel/drivers/dca/dca.ko:
kernel/drivers/gpu/drm/amd/amdgpu/amdgpu.ko: kernel/drivers/i2c/algos/i2c-algo-bit.ko
kernel/drivers/watchdog/i6300esb.ko:
kernel/drivers/watchdog/wdat_wdt.ko:
kernel/net/netfilter/nf_tables.ko: kernel/net/netfilter/nfnetlink.ko
kernel/net/netfilter/nfnetlink.ko:
kernel/net/wireless/cfg80211.ko.xz:
kernel/net/sctp/sctp.ko:
kernel/sound/core/snd.ko:
updates/dkms/wireguard-old.ko: kernel/net/netfilter/nfnetlink.ko
"""


def test_kept_with_what_they_need() -> None:
    assert {name_of(path) for path in chosen(parse(MODULES_DEP))} == {
        "igbvf", "igb", "i2c-algo-bit", "dca", "xen-netfront", "i6300esb", "nf_tables", "nfnetlink", "sctp",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name"),
    [("drivers/net/xen-netfront.ko", "xen-netfront"), ("net/wireless/cfg80211.ko.xz", "cfg80211"), ("tun.ko", "tun")],
)
def test_name_of_a_module(path: str, name: str) -> None:
    assert name_of(path) == name


def test_a_kernel_without_a_nic_is_refused_and_left_alone(tmp_path: Path) -> None:
    """As Debian's cloud kernel is."""
    modules = tmp_path / "lib" / "modules" / "6.1.0-cloud-amd64"
    igb = modules / "kernel" / "drivers" / "net" / "ethernet" / "intel" / "igb" / "igb.ko"
    igb.parent.mkdir(parents=True)
    igb.touch()
    (modules / "modules.dep").write_text("kernel/drivers/net/ethernet/intel/igb/igb.ko:\n")
    with pytest.raises(MissingDriver, match=r"6\.1\.0-cloud-amd64 has no .*iavf.*igbvf"):
        trim(modules, tree=tmp_path)
    assert igb.exists()


def test_nics_that_are_checked_are_named_once() -> None:
    assert len(set(NICS)) == len(NICS)
