from pathlib import Path

import pytest

from hydria.base import config


def test_the_defaults_survive_a_round_trip(tmp_path: Path):
    file = tmp_path / "hydria.toml"
    file.write_text(config.dump(config.Config()))
    assert config.load(file, {}) == config.Config()


def test_a_changed_option_survives_a_round_trip(tmp_path: Path):
    changed = config.Config(
        cloud=config.Cloud(hosts=(config.Host(name="h1", pfs={"pf-public": "public"}),), passwords={"admin": "s#'\n"}),
        log=config.Log(level="DEBUG"),
    )
    file = tmp_path / "hydria.toml"
    file.write_text(config.dump(changed))
    assert config.load(file, {}) == changed


@pytest.mark.parametrize(
    ("environment", "section", "key", "value"),
    [
        pytest.param({"HYDRIA_API__BIND_PORT": "80"}, "api", "bind_port", 80, id="number"),
        pytest.param({"HYDRIA_API__STRICT_IMMUTABLE": "true"}, "api", "strict_immutable", True, id="boolean"),
        pytest.param({"HYDRIA_IDENTITY__PASSWORD": "a b=c"}, "identity", "password", "a b=c", id="text"),
        pytest.param({"HYDRIA_API__RESERVED_IPS": '["10.0.0.1"]'}, "api", "reserved_ips", ("10.0.0.1",), id="list"),
        pytest.param({"HYDRIA_UNRELATED": "x"}, "api", "bind_port", 9876, id="not an option's name"),
    ],
)
def test_environment(environment: dict[str, str], section: str, key: str, value: object):
    assert getattr(getattr(config.load(None, environment), section), key) == value


def test_the_environment_wins_over_the_file(tmp_path: Path):
    file = tmp_path / "hydria.toml"
    file.write_text("[api]\nbind_port = 1\nbind_host = 'h'\n")
    loaded = config.load(file, {"HYDRIA_API__BIND_PORT": "2"})
    assert (loaded.api.bind_port, loaded.api.bind_host) == (2, "h")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("[api]\nport = 1", "unknown field `port`", id="unknown option"),
        pytest.param("[apj]\n", "unknown field `apj`", id="unknown section"),
        pytest.param("[api]\nbind_port = 'x'", "Expected `int`, got `str` - at `$.api.bind_port`", id="wrong type"),
        pytest.param("[api", "Reading configuration", id="no TOML"),
        pytest.param(
            "[api]\nminimum_tls_version = 'TLSv1.3'",
            "default_listener_tls_versions has TLSv1.2, which is below minimum_tls_version",
            id="default below the minimum",
        ),
        pytest.param(
            "[api]\ndefault_pool_ciphers = 'A:B'\ntls_cipher_prohibit_list = 'B'",
            "default_pool_ciphers has B, which tls_cipher_prohibit_list prohibits",
            id="prohibited default",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, complaint: str):
    file = tmp_path / "hydria.toml"
    file.write_text(text)
    with pytest.raises(config.ConfigError) as error:
        config.load(file, {})
    assert complaint in str(error.value)
    assert str(file) in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(config.ConfigError, match=r"absent\.toml"):
        config.load(tmp_path / "absent.toml", {})
