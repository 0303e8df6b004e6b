"""What is on the disk: no payload without the key file, and what happens when that one is not as it was."""

import contextlib
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from hydria.base.config import Cloud, ConfigError
from hydria.base.errors import NotFound, Terminal
from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.key_manager.encryption import KEY_FILE, key_id
from hydria.cloud.key_manager.resources import payloads
from hydria.cloud.key_manager.service import KeyManager

MEMBER = Context(user_id="u", project_id="p", roles=frozenset({"member"}))
PLAIN = "a private key that nobody may find"


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[KeyManager]:
    config = Cloud(database_url=f"sqlite:///{directory}/cloud.db", state_dir=str(directory))
    database = Database(config.database_url)
    try:
        database.create_tables()
        service = KeyManager(config, database)
        service.start()
        yield service
    finally:
        database.close()


def stored(service: KeyManager, payload: str = PLAIN) -> str:
    document = {"payload": payload, "payload_content_type": "text/plain", "name": "plain name"}
    return service.secrets.create(MEMBER, document).id


def read(service: KeyManager, id_: str) -> str:
    return service.secrets.payload(MEMBER, id_).data.decode()


def keys_in(directory: Path) -> list[bytes]:
    lines = (directory / KEY_FILE).read_bytes().splitlines()
    return [line for line in lines if not line.startswith(b"#")]


def put_keys(directory: Path, *keys: bytes) -> None:
    (directory / KEY_FILE).write_bytes(b"\n".join(keys))
    (directory / KEY_FILE).chmod(0o600)


def test_nothing_on_the_disk_has_the_payload(tmp_path: Path):
    with opened(tmp_path) as service:
        stored(service)
        files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    files |= {f"{path.name} at the end": path.read_bytes() for path in tmp_path.iterdir()}
    assert any(b"plain name" in content for content in files.values())
    assert not [name for name, content in files.items() if PLAIN.encode() in content]
    (key,) = keys_in(tmp_path)
    assert not [name for name, content in files.items() if key in content and not name.startswith(KEY_FILE)]


def test_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path):
    with opened(tmp_path) as service:
        id_ = stored(service)
    before = (tmp_path / KEY_FILE).read_bytes()
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    with opened(tmp_path) as service:
        assert read(service, id_) == PLAIN
    assert (tmp_path / KEY_FILE).read_bytes() == before


def test_new_first_key_encrypts_everything_and_the_old_one_can_go(tmp_path: Path):
    with opened(tmp_path) as service:
        id_ = stored(service)
    (old,) = keys_in(tmp_path)
    new = Fernet.generate_key()
    put_keys(tmp_path, new, old)
    with opened(tmp_path) as service:
        assert read(service, id_) == PLAIN
        assert read(service, stored(service, "another")) == "another"
    put_keys(tmp_path, new)
    with opened(tmp_path) as service:
        assert read(service, id_) == PLAIN


def test_old_key_alone_stays_readable_next_to_a_new_one(tmp_path: Path):
    """A file that was rotated and put back from a backup."""
    with opened(tmp_path) as service:
        id_ = stored(service)
    (old,) = keys_in(tmp_path)
    put_keys(tmp_path, Fernet.generate_key())
    with opened(tmp_path) as service:
        younger = stored(service, "younger")
    put_keys(tmp_path, *keys_in(tmp_path), old)
    with opened(tmp_path) as service:
        assert (read(service, id_), read(service, younger)) == (PLAIN, "younger")


def test_wrong_key_is_said_at_the_start_and_to_who_reads(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with opened(tmp_path) as service:
        id_ = stored(service)
    (old,) = keys_in(tmp_path)
    put_keys(tmp_path, Fernet.generate_key())
    with caplog.at_level(logging.ERROR), opened(tmp_path) as service:
        assert key_id(old) in caplog.text
        assert str(tmp_path / KEY_FILE) in caplog.text
        with pytest.raises(Terminal, match=f"{id_}.*encrypted with key {key_id(old)}"):
            read(service, id_)
        assert read(service, stored(service, "new")) == "new"
        service.secrets.delete(MEMBER, id_)


def test_missing_file_is_not_replaced_where_it_is_needed(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with opened(tmp_path) as service:
        id_ = stored(service)
    kept = (tmp_path / KEY_FILE).rename(tmp_path / "kept")
    with caplog.at_level(logging.ERROR), opened(tmp_path) as service:
        assert "not in the key file" in caplog.text
        with pytest.raises(Terminal, match="not in the key manager's key file"):
            read(service, id_)
        with pytest.raises(Terminal, match="key file is missing"):
            stored(service)
        assert service.secrets.page(MEMBER, {}).total == 1
    assert not (tmp_path / KEY_FILE).exists()
    kept.rename(tmp_path / KEY_FILE)
    with opened(tmp_path) as service:
        assert read(service, id_) == PLAIN


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        pytest.param(b"not a key", 0o600, "a line is no key", id="no key"),
        pytest.param(b"# nothing\n", 0o600, "holds no key", id="empty"),
        pytest.param(Fernet.generate_key(), 0o644, "can be read by others", id="readable by others"),
    ],
)
def test_bad_key_file_stops_the_start_and_is_not_quoted(tmp_path: Path, content: bytes, mode: int, message: str):
    (tmp_path / KEY_FILE).write_bytes(content)
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(ConfigError, match=message) as raised, opened(tmp_path):
        pass
    assert content.decode() not in str(raised.value)
    assert raised.value.__cause__ is None


def test_payload_of_another_secret_or_a_changed_one_does_not_open(tmp_path: Path):
    with opened(tmp_path) as service:
        first, second = stored(service), stored(service, "another")
        with service.secrets.database.begin() as connection:
            row = connection.execute(payloads.select().where(payloads.c.secret_id == second)).one()
            connection.execute(payloads.update().where(payloads.c.secret_id == first).values(sealed=row.sealed))
            changed = row.sealed[:-8] + b"AAAAAAA="
            connection.execute(payloads.update().where(payloads.c.secret_id == second).values(sealed=changed))
        with pytest.raises(Terminal, match="another secret's payload"):
            read(service, first)
        with pytest.raises(Terminal, match="was changed"):
            read(service, second)


def test_deleted_secret_leaves_no_payload(tmp_path: Path):
    with opened(tmp_path) as service:
        id_ = stored(service)
        service.secrets.delete(MEMBER, id_)
        with service.secrets.database.read() as connection:
            assert connection.execute(payloads.select()).all() == []
        with pytest.raises(NotFound):
            read(service, str(uuid.uuid4()))
