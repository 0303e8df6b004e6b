"""What a build is refused for before it begins."""

from pathlib import Path

import pytest

from hydria.base.errors import Invalid, Terminal
from hydria.image import prerequisites
from hydria.image.options import Format, Options
from hydria.image.preflight import check
from hydria.image.prerequisites import MIB, Need, check_needs, missing_packages

ROOT = Path(__file__).parents[3]


@pytest.fixture
def options(tmp_path: Path) -> dict[str, object]:
    return {"output": tmp_path / "amphora.qcow2", "work_directory": tmp_path, "cache_directory": tmp_path / "cache"}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        pytest.param("base", "ubuntu-minimal", "debian-minimal", id="ubuntu"),
        pytest.param("base", "fedora", "no base fedora", id="another distribution"),
        pytest.param("release", "trixie", "bookworm", id="release"),
        pytest.param("architecture", "arm64", "amd64", id="architecture"),
        pytest.param("size", 0, "size 0 GB", id="no size"),
        pytest.param("root_password", "", "not one line", id="empty password"),
        pytest.param("root_password", "a\nb", "not one line", id="password of two lines"),
        pytest.param("wheel", Path("/nowhere/hydria.whl"), "/nowhere/hydria.whl", id="no wheel"),
        pytest.param("output", Path("/nowhere/amphora.qcow2"), "/nowhere", id="no directory for the output"),
        pytest.param("work_directory", Path("/nowhere"), "/nowhere", id="no work directory"),
    ],
)
def test_option_that_cannot_be_had(options: dict[str, object], field: str, value: object, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(Options(**{**options, field: value}))
    assert words in str(refused.value)
    assert refused.value.field == field


@pytest.mark.parametrize("base", ["debian-minimal", "debian"])
def test_what_can_be_had_passes(options: dict[str, object], base: str) -> None:
    check(Options(**{**options, "base": base}))


def needs(*, free: int, file_systems: tuple[int, int]) -> list[Need]:
    return [
        Need("the work directory", Path("/w"), 3000 * MIB, file_systems[0], free * MIB),
        Need("the cache", Path("/c"), 300 * MIB, file_systems[1], free * MIB),
    ]


def test_space_on_one_file_system_is_added_up() -> None:
    with pytest.raises(Terminal, match=r"/w.*/c.*3300 MiB are needed, 3200 MiB are free"):
        check_needs(needs(free=3200, file_systems=(1, 1)))


def test_space_on_two_file_systems_is_not_added_up() -> None:
    check_needs(needs(free=3200, file_systems=(1, 2)))


def test_space_of_a_cache_that_is_still_to_be_made_is_that_of_where_it_will_be(tmp_path: Path) -> None:
    options = Options(output=tmp_path / "a.qcow2", work_directory=tmp_path, cache_directory=tmp_path / "a" / "b" / "c")
    prerequisites.check_space(options)
    assert not (tmp_path / "a").exists()


def test_missing_programs_are_named_by_their_packages(tmp_path: Path) -> None:
    missing = missing_packages({"PATH": str(tmp_path)})
    assert set(missing) >= {"e2fsprogs", "fdisk", "qemu-utils", "mmdebstrap", "grub-common"}
    assert missing == sorted(set(missing))


def test_packages_that_setup_installs_are_those_that_a_build_needs() -> None:
    listed = set((ROOT / "scripts" / "image-packages.txt").read_text().split())
    listed |= set((ROOT / "scripts" / "system-packages.txt").read_text().split())
    # Those that every Debian has.
    listed |= {"apt", "dpkg"}
    assert {*prerequisites.PROGRAMS.values(), *prerequisites.FILES.values()} <= listed


def test_every_format_has_its_need_of_space() -> None:
    assert set(prerequisites.OUTPUT_SPACE) == set(Format)
