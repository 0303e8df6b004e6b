"""What goes wrong while a payload is in memory is logged without it."""

import logging

import httpx
import pytest
from running_cloud import RunningCloud
from vault import API, fault, secret

PLAIN = "a private key that nobody may find"


@pytest.mark.parametrize("payload", [PLAIN, PLAIN.encode()], ids=["text", "bytes"])
def test_log_of_an_unexpected_error_has_no_payload(
    cloud: RunningCloud, demo: httpx.Client, caplog: pytest.LogCaptureFixture, payload: str | bytes
):
    document = secret(payload)
    with cloud.services.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE secret_payloads RENAME TO away")
    try:
        with caplog.at_level(logging.DEBUG):
            answer = demo.post(f"{API}/secrets", json=document)
    finally:
        with cloud.services.database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO secret_payloads")
    assert fault(answer) == 500
    assert "no such table" in caplog.text
    for text in (PLAIN, document["payload"]):
        assert text not in caplog.text
        assert text not in answer.text
    assert demo.get(f"{API}/secrets").json()["total"] == 0
