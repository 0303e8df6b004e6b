"""Facts as properties in the image service."""

import pytest

from hydria.image.facts import Facts, from_properties, properties

FACTS = Facts(
    version="0.1.0",
    spec_versions=(1, 2),
    nftables=False,
    pinning=True,
    distribution="debian-12",
    kernel="6.1.0-41-amd64",
)


def test_what_is_no_text_is_json_and_what_is_empty_is_left_out():
    assert properties(FACTS) == {
        "hydria_version": "0.1.0",
        "hydria_spec_versions": "[1,2]",
        "hydria_nftables": "false",
        "hydria_pinning": "true",
        "hydria_sshd": "false",
        "hydria_distribution": "debian-12",
        "hydria_architecture": "amd64",
        "hydria_kernel": "6.1.0-41-amd64",
    }


def test_properties_give_the_facts_back():
    assert from_properties(properties(FACTS)) == FACTS


@pytest.mark.parametrize(
    ("told", "facts"),
    [
        pytest.param({}, None, id="not Hydria's"),
        pytest.param({"hydria_version": "2", "hydria_colour": "red"}, Facts(version="2"), id="unknown property"),
        pytest.param({"hydria_version": "2", "hydria_nftables": "perhaps"}, None, id="no JSON"),
        pytest.param({"hydria_version": "2", "hydria_nftables": "3"}, None, id="another type"),
        pytest.param({"hydria_version": 'a"b'}, Facts(version='a"b'), id="text is no JSON"),
    ],
)
def test_of_other_images_nothing_is_assumed(told: dict[str, str], facts: Facts | None):
    assert from_properties(told) == facts
