import base64
import gzip
import json

import pytest

from hydria.base import cloud_config
from hydria.base.cloud_config import BadUserData, File


def user_data(*entries: dict[str, object]) -> bytes:
    return f"#cloud-config\n{json.dumps({'write_files': entries})}".encode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", (), id="none"),
        pytest.param(b"#!/bin/sh\necho", (), id="a script, which is not ours to run"),
        pytest.param(b"#cloud-config\n", (), id="empty"),
        pytest.param(b"#cloud-config\n{}", (), id="nothing to write"),
        pytest.param(
            user_data({"path": "/etc/hydria/agent.json", "content": "{}"}),
            (File("agent.json", b"{}", 0o600),),
            id="JSON",
        ),
        pytest.param(
            b"#cloud-config\nwrite_files:\n- path: /etc/hydria/a/b.pem\n  content: |\n    x\n  permissions: '0640'\n",
            (File("a/b.pem", b"x\n", 0o640),),
            id="YAML, mode in quotes",
        ),
        pytest.param(
            b"#cloud-config\nwrite_files:\n- path: /etc/hydria/x\n  content: y\n  permissions: 0644\n",
            (File("x", b"y", 0o644),),
            id="YAML, octal mode",
        ),
        pytest.param(
            user_data({"path": "/etc/hydria/x", "content": base64.b64encode(b"\x00").decode(), "encoding": "b64"}),
            (File("x", b"\x00", 0o600),),
            id="base64",
        ),
        pytest.param(
            user_data(
                {
                    "path": "/etc/hydria/x",
                    "content": base64.b64encode(gzip.compress(b"z")).decode(),
                    "encoding": "gzip+base64",
                }
            ),
            (File("x", b"z", 0o600),),
            id="gzip and base64",
        ),
    ],
)
def test_files(data: bytes, expected: tuple[File, ...]):
    assert cloud_config.files(data) == expected


@pytest.mark.parametrize(
    ("data", "word"),
    [
        pytest.param(b"#cloud-config\n{", "cloud-config", id="neither JSON nor YAML"),
        pytest.param(b"#cloud-config\n- a", "cloud-config", id="a list"),
        pytest.param(b'#cloud-config\n{"write_files": 5}', "cloud-config", id="no list of files"),
        pytest.param(user_data({"path": "/etc/shadow", "content": ""}), "/etc/shadow", id="elsewhere"),
        pytest.param(user_data({"path": "/etc/hydria/../x", "content": ""}), "not below", id="up and out"),
        pytest.param(user_data({"path": "/etc/hydria", "content": ""}), "not below", id="the directory itself"),
        pytest.param(user_data({"path": "/etc/hydria/x", "permissions": "rw"}), "octal", id="mode"),
        pytest.param(user_data({"path": "/etc/hydria/x", "encoding": "rot13"}), "rot13", id="encoding"),
        pytest.param(user_data({"path": "/etc/hydria/x", "content": "?", "encoding": "b64"}), "not b64", id="content"),
    ],
)
def test_bad(data: bytes, word: str):
    with pytest.raises(BadUserData, match=word):
        cloud_config.files(data)


def test_errors_quote_no_content():
    entry = {"path": "/etc/hydria/key", "content": "top-secret!", "encoding": "b64"}
    with pytest.raises(BadUserData) as caught:
        cloud_config.files(user_data(entry))
    assert "top-secret" not in str(caught.value)
