import doctest
from types import ModuleType

import pytest

from hydria.base.errors import Invalid
from hydria.sriov import inventory, tag
from hydria.sriov.inventory import Pf, Vf, VfId, strays
from hydria.sriov.tag import Tag


def pf(name: str, *at_home: bool, network: str = "public", link_up: bool = True) -> Pf:
    vfs = tuple(Vf(VfId(name, index), at_home=home) for index, home in enumerate(at_home))
    return Pf(name=name, physical_network=network, driver="igb", link_up=link_up, vfs=vfs)


@pytest.mark.parametrize("module", [inventory, tag], ids=lambda module: module.__name__)
def test_examples(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("text", ["", "pf-public", "pf-public/", "/3", "pf-public/x", "pf-public/-1", "pf/٣"])
def test_not_a_vf(text: str) -> None:
    with pytest.raises(Invalid, match="is not a VF"):
        VfId.parse(text)


def test_vf_id_survives_text() -> None:
    assert VfId.parse(str(VfId("a/b", 12))) == VfId("a/b", 12)


def test_free_are_those_at_home_that_nobody_claimed() -> None:
    vfs = pf("pf0", True, False, True, True).free({VfId("pf0", 2)})
    assert [vf.id.index for vf in vfs] == [0, 3]


def test_strays_are_away_and_unclaimed() -> None:
    pfs = [pf("pf0", True, False, False), pf("pf1", False)]
    assert list(strays(pfs, {VfId("pf0", 1)})) == [VfId("pf0", 2), VfId("pf1", 0)]


@pytest.mark.parametrize(
    "tag",
    [Tag("hydria", "pf", "pf-public", 8), Tag("lab", "vf", "pf-public/0"), Tag("lab", "port", "6f1c", 4026532281)],
    ids=str,
)
def test_tag_survives_the_alias(tag: Tag) -> None:
    assert Tag.parse(str(tag)) == tag


@pytest.mark.parametrize(
    "alias",
    [None, "", "uplink", "hydria", "hydria:lab", "hydria:lab:moon:x", "hydria:lab:vf:x:y", "hydria:lab:vf:x:1:2"],
)
def test_other_peoples_aliases(alias: str | None) -> None:
    assert Tag.parse(alias) is None


@pytest.mark.parametrize("id_", ["a:b", "x" * 250], ids=["separator", "too long"])
def test_tag_that_the_kernel_could_not_keep_is_refused(id_: str) -> None:
    with pytest.raises(Invalid, match="alias"):
        str(Tag("hydria", "port", id_))


def test_same_thing_whatever_the_detail() -> None:
    assert Tag("hydria", "port", "a", 1).is_same(Tag("hydria", "port", "a", 2))
    assert not Tag("hydria", "port", "a", 1).is_same(Tag("hydria", "port", "b", 1))
    assert not Tag("hydria", "port", "a", 1).is_same(None)
