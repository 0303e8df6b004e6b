import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from running_cloud import RunningCloud
from vault import API, MICROVERSION, fault, newcomer, secret, store

from hydria.cloud.key_manager.content import MAX_PAYLOAD_BYTES, Payload
from hydria.cloud.key_manager.resources import secrets

BUNDLE = bytes(range(256))


@pytest.fixture(scope="module")
def lister(cloud: RunningCloud) -> httpx.Client:
    """Whose project has what the tests of lists made, and nothing else."""
    client, _ = newcomer(cloud, "lister", "lists", "member")
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    store(client, name="one", algorithm="aes", bit_length=256, mode="cbc", secret_type="symmetric")
    store(client, BUNDLE, name="two", algorithm="rsa", bit_length=2048, secret_type="private")
    store(client, None, name="three", secret_type="certificate", expiration=later)
    return client


def test_catalogue_has_it(cloud: RunningCloud, demo: httpx.Client):
    catalog = demo.get("/identity/v3/auth/catalog").json()["catalog"]
    (service,) = [one for one in catalog if one["type"] == "key-manager"]
    assert service["name"] == "barbican"
    assert {one["url"] for one in service["endpoints"]} == {f"{cloud.url}/key-manager"}


@pytest.mark.parametrize("path", ["/key-manager", "/key-manager/"])
def test_discovery_of_clients_from_before_microversions(cloud: RunningCloud, path: str):
    answer = httpx.get(f"{cloud.url}{path}")
    assert answer.status_code == 300
    (version,) = answer.json()["versions"]["values"]
    assert (version["id"], version["status"]) == ("v1", "stable")
    assert version["links"] == [{"rel": "self", "href": f"{cloud.url}/key-manager/v1/"}]
    assert "max_version" not in version


def test_discovery_with_microversions(cloud: RunningCloud):
    answer = httpx.get(f"{cloud.url}/key-manager/", headers=MICROVERSION)
    (version,) = answer.json()["versions"]
    assert (version["min_version"], version["max_version"], version["status"]) == ("1.0", "1.2", "CURRENT")
    assert httpx.get(f"{cloud.url}/key-manager/v1/", headers=MICROVERSION).json()["version"] == version
    assert answer.headers["OpenStack-API-Version"] == "key-manager 1.1"
    too_new = {"OpenStack-API-Version": "key-manager 1.9"}
    assert fault(httpx.get(f"{cloud.url}/key-manager/", headers=too_new)) == 406


def test_nobody_without_a_token(cloud: RunningCloud):
    assert httpx.get(f"{cloud.url}{API}/secrets").status_code == 401


def test_text_in_one_step(cloud: RunningCloud, demo: httpx.Client):
    text = "-----BEGIN CERTIFICATE-----\nÄ\n"
    reference = store(demo, text, name=" pem ", secret_type="certificate", algorithm="rsa", bit_length=2048, mode="cbc")
    assert reference.startswith(f"{cloud.url}{API}/secrets/")
    shown = demo.get(reference).json()
    expected = {
        "name": "pem",
        "status": "ACTIVE",
        "secret_type": "certificate",
        "algorithm": "rsa",
        "bit_length": 2048,
        "mode": "cbc",
        "expiration": None,
        "content_types": {"default": "text/plain"},
        "secret_ref": reference,
    }
    assert expected.items() <= shown.items()
    assert {"created", "updated", "creator_id"} == shown.keys() - expected.keys()
    assert demo.get(reference, headers=MICROVERSION).json()["consumers"] == []
    answer = demo.get(f"{reference}/payload", headers={"Accept": "text/plain"})
    assert (answer.status_code, answer.text) == (200, text)


def test_bytes_in_one_step(demo: httpx.Client):
    answer = demo.get(f"{store(demo, BUNDLE)}/payload", headers={"Accept": "application/octet-stream"})
    assert (answer.content, answer.headers["Content-Type"]) == (BUNDLE, "application/octet-stream")


@pytest.mark.parametrize(
    ("body", "headers", "payload"),
    [
        pytest.param(BUNDLE, {"Content-Type": "application/octet-stream"}, BUNDLE, id="bytes"),
        pytest.param(
            base64.encodebytes(BUNDLE),
            {"Content-Type": "application/octet-stream", "Content-Encoding": "base64"},
            BUNDLE,
            id="base64",
        ),
        pytest.param(b"words", {"Content-Type": "text/plain; charset=utf-8"}, b"words", id="text"),
    ],
)
def test_payload_in_a_second_step(demo: httpx.Client, body: bytes, headers: dict[str, str], payload: bytes):
    reference = store(demo, None)
    assert "content_types" not in demo.get(reference).json()
    assert fault(demo.get(f"{reference}/payload")) == 404
    assert demo.put(reference, content=body, headers=headers).status_code == 204
    assert demo.get(f"{reference}/payload").content == payload
    assert fault(demo.put(reference, content=body, headers=headers)) == 409
    assert demo.get(f"{reference}/payload").content == payload


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"", {"Content-Type": "text/plain"}, 400, id="nothing"),
        pytest.param(b"{}", {"Content-Type": "application/json"}, 415, id="json"),
        pytest.param(b"x", {}, 415, id="no type"),
        pytest.param(b"\xff", {"Content-Type": "text/plain"}, 400, id="text that is none"),
        pytest.param(
            b"!", {"Content-Type": "application/octet-stream", "Content-Encoding": "base64"}, 400, id="no base64"
        ),
        pytest.param(
            b"x", {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}, 400, id="other encoding"
        ),
        pytest.param(bytes(MAX_PAYLOAD_BYTES + 1), {"Content-Type": "application/octet-stream"}, 413, id="too large"),
        pytest.param(bytes(1_000_000), {"Content-Type": "application/octet-stream"}, 413, id="much too large"),
    ],
)
def test_bad_payload_changes_nothing(demo: httpx.Client, body: bytes, headers: dict[str, str], status: int):
    reference = store(demo, None)
    assert fault(demo.put(reference, content=body, headers=headers)) == status
    assert "content_types" not in demo.get(reference).json()


@pytest.mark.parametrize(
    ("payload", "accept", "status"),
    [
        pytest.param("text", "text/plain", 200, id="text as text"),
        pytest.param("text", "text/plain; charset=utf-8", 200, id="text with its charset"),
        pytest.param("text", "application/octet-stream", 200, id="text as bytes"),
        pytest.param("text", "*/*", 200, id="text as anything"),
        pytest.param(BUNDLE, "application/octet-stream", 200, id="bytes as bytes"),
        pytest.param(BUNDLE, "*/*", 200, id="bytes as anything"),
        pytest.param(BUNDLE, "text/plain", 406, id="bytes as text"),
        pytest.param(b"PEM", "text/plain", 200, id="bytes that are text"),
        pytest.param("text", "application/pkcs8", 406, id="something else"),
        pytest.param("text", "application/json", 406, id="json"),
    ],
)
def test_payload_comes_as_what_is_accepted(demo: httpx.Client, payload: str | bytes, accept: str, status: int):
    answer = demo.get(f"{store(demo, payload)}/payload", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 200:
        assert answer.content == (payload.encode() if isinstance(payload, str) else payload)
    else:
        assert fault(answer) == 406


def test_payload_from_the_secret_itself_as_it_was_once_read(demo: httpx.Client):
    reference = store(demo, "text")
    assert demo.get(reference, headers={"Accept": "text/plain"}).text == "text"
    assert demo.get(reference, headers={"Accept": "application/json"}).json()["name"] == "a secret"


@pytest.mark.parametrize(
    ("document", "status"),
    [
        pytest.param(secret(payload_content_type=None), 400, id="payload without type"),
        pytest.param(secret(None, payload_content_type="text/plain"), 400, id="type without payload"),
        pytest.param(secret(" "), 400, id="blank payload"),
        pytest.param({**secret(), "payload": 7}, 400, id="payload that is no text"),
        pytest.param(secret(payload_content_type="application/pkcs8"), 400, id="unknown type"),
        pytest.param(secret(payload_content_type="application/octet-stream"), 400, id="bytes without encoding"),
        pytest.param(secret(payload_content_encoding="base64"), 400, id="text with encoding"),
        pytest.param({**secret(b"x"), "payload": "%"}, 400, id="no base64"),
        pytest.param(secret(b"x", payload_content_encoding="hex"), 400, id="unknown encoding"),
        pytest.param(secret("x" * (MAX_PAYLOAD_BYTES + 1)), 413, id="too large"),
        pytest.param(secret("x" * 100_000), 413, id="much too large"),
        pytest.param(secret(name="x" * 256), 400, id="long name"),
        pytest.param(secret(secret_type="key"), 400, id="unknown secret type"),
        pytest.param(secret(bit_length=0), 400, id="no bits"),
        pytest.param(secret(bit_length=40_000), 400, id="too many bits"),
        pytest.param(secret(expiration="soon"), 400, id="no time"),
        pytest.param(secret(expiration="2020-01-01T00:00:00Z"), 400, id="expired"),
        pytest.param([], 400, id="no object"),
    ],
)
def test_bad_secret_is_refused_and_not_quoted(demo: httpx.Client, document: Any, status: int):
    before = demo.get(f"{API}/secrets").json()["total"]
    answer = demo.post(f"{API}/secrets", json=document)
    assert fault(answer) == status
    assert "s3cret" not in answer.text
    assert demo.get(f"{API}/secrets").json()["total"] == before


def test_what_a_document_has_beyond_a_secret_is_passed_over(demo: httpx.Client):
    reference = store(demo, status="GONE", transport_key_needed="false", creator_id="me")
    shown = demo.get(reference).json()
    assert (shown["status"], shown["creator_id"] == "me") == ("ACTIVE", False)


def test_expired_secret_is_gone(cloud: RunningCloud, demo: httpx.Client):
    in_an_hour = datetime.now(timezone(timedelta(hours=5))) + timedelta(hours=1)
    reference = store(demo, name="expiring", expiration=in_an_hour.isoformat())
    expected = in_an_hour.astimezone(UTC).replace(tzinfo=None).isoformat()
    assert demo.get(reference).json()["expiration"] == expected
    with cloud.services.database.begin() as connection:
        connection.execute(
            secrets.update().where(secrets.c.name == "expiring").values(expiration="2020-01-01T00:00:00")
        )
    for answer in (
        demo.get(reference),
        demo.get(f"{reference}/payload"),
        demo.get(f"{reference}/acl"),
        demo.delete(reference),
    ):
        assert fault(answer) == 404
    assert demo.get(f"{API}/secrets", params={"name": "expiring"}).json()["total"] == 0
    store(demo)
    with cloud.services.database.read() as connection:
        assert connection.execute(secrets.select().where(secrets.c.name == "expiring")).all() == []


def test_deleted_secret_is_gone(demo: httpx.Client):
    reference = store(demo)
    assert demo.delete(reference).status_code == 204
    assert fault(demo.get(reference)) == fault(demo.get(f"{reference}/payload")) == fault(demo.delete(reference)) == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("", ["one", "two", "three"], id="all, the oldest first"),
        pytest.param("name=two", ["two"], id="name"),
        pytest.param("alg=aes", ["one"], id="algorithm"),
        pytest.param("mode=cbc&bits=256", ["one"], id="mode and bits"),
        pytest.param("bits=many", ["one", "two", "three"], id="bits that are no number"),
        pytest.param("secret_type=certificate", ["three"], id="secret type"),
        pytest.param("created=gte:2020-01-01T00:00:00", ["one", "two", "three"], id="created since"),
        pytest.param("updated=gt:2020-01-01T00:00:00,lt:2020-02-01T00:00:00", [], id="updated between"),
        pytest.param("expiration=gt:2020-01-01T00:00:00Z", ["three"], id="expiration"),
        pytest.param("sort=name:desc", ["two", "three", "one"], id="sort"),
        pytest.param("acl_only=true", [], id="of others"),
        pytest.param("limit=1&offset=1", ["two"], id="page"),
        pytest.param("limit=x&offset=x", ["one", "two", "three"], id="page that is none"),
        pytest.param("offset=9", [], id="beyond the end"),
    ],
)
def test_list(lister: httpx.Client, query: str, found: list[str]):
    answer = lister.get(f"{API}/secrets?{query}").json()
    assert [one["name"] for one in answer["secrets"]] == found
    assert "s3cret" not in str(answer)


@pytest.mark.parametrize("query", ["sort=payload", "sort=name:up", "created=gt:soon"])
def test_bad_list_is_refused(lister: httpx.Client, query: str):
    assert fault(lister.get(f"{API}/secrets?{query}")) == 400


def test_pages_lead_through_the_list_and_back(lister: httpx.Client):
    """With the filters of the first request."""
    url, names, page = f"{API}/secrets?limit=2&sort=name:asc", [], {}
    while url:
        page = lister.get(url).json()
        assert page["total"] == 3
        names += [one["name"] for one in page["secrets"]]
        url = page.get("next")
    assert names == ["one", "three", "two"]
    back = lister.get(page["previous"]).json()
    assert ([one["name"] for one in back["secrets"]], "previous" in back) == (["one", "three"], False)
    assert urlsplit(page["previous"]).path == f"{API}/secrets"


def test_payload_does_not_print_itself():
    assert "hunter2" not in repr(Payload("text/plain", b"hunter2"))
