"""Which devices still need a driver, by the kernel's own account in /sys."""

from pathlib import Path

import pytest

from hydria.agent import drivers


@pytest.fixture
def buses(tmp_path: Path) -> Path:
    for path, kind, driver in (
        ("pci/devices/0000:00:01.0", "0x010601", False),
        ("pci/devices/0000:00:02.0", "0x020000", False),
        ("pci/devices/0000:00:03.0", "0x010000", True),
        ("virtio/devices/virtio0", None, True),
        ("virtio/devices/virtio1", None, False),
    ):
        device = tmp_path / path
        device.mkdir(parents=True)
        (device / "modalias").write_text(f"alias-{device.name}\n")
        if kind is not None:
            (device / "class").write_text(f"{kind}\n")
        if driver:
            (device / "driver").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("wanted", "aliases"),
    [
        pytest.param(drivers.STORAGE, ["alias-0000:00:01.0", "alias-virtio1"], id="storage"),
        pytest.param(drivers.NETWORK, ["alias-0000:00:02.0", "alias-virtio1"], id="network"),
    ],
)
def test_devices_without_a_driver(buses: Path, wanted: str, aliases: list[str]) -> None:
    assert drivers.without_driver(wanted, buses) == aliases
