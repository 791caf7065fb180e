"""Firmware, uploads and support bundles, as clients meet them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from functools import partial

import pytest

from tests.contract.wire import Caller
from tests.support.server import PASSWORD, Client, Server, until

BUNDLES = "/api/troubleshooting/support-bundle"


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    found = server.login()
    yield found
    found.delete("/api/authentication")
    found.http.close()


def finished(client: Client, href: str) -> bool:
    assert client.body(href)["status"] != "failed"
    return bool(client.body(href)["status"] == "finished")


def test_65_firmware_slots_show_both_forms(client: Client) -> None:
    answer = client.get("/api/firmware/slots")
    assert answer.status_code == 200
    assert answer.json()["body"]
    assert [item["body"]["version"] for item in answer.json()["items"]] == ["8.0.0"]
    slot = client.get("/api/firmware/slots/1").json()
    assert slot["body"] == answer.json()["items"][0]["body"]
    links = client.get("/api/firmware").json()["meta"]
    assert {name: links[name] for name in ("fetch", "slots", "test", "upgrade")} == {
        name: f"/api/firmware/{name}" for name in ("fetch", "slots", "test", "upgrade")
    }


def test_67_support_bundle_from_order_to_removal(client: Client) -> None:
    made = client.post(BUNDLES, headers={"Content-Type": "application/json"})
    assert made.status_code == 202
    key = made.json()["key"]
    assert made.json()["body"] == {"status": "queued"}
    one = f"{BUNDLES}/{key}"
    until(partial(finished, client, one), 60, "the bundle")
    assert [item["key"] for item in client.get(BUNDLES).json()["items"]] == [key]
    loaded = client.get(f"{one}/download", headers={"Accept": "application/json"})
    assert loaded.status_code == 200
    assert loaded.headers["content-type"] == "application/gzip"
    assert int(loaded.headers["content-length"]) == len(loaded.content)
    with tarfile.open(fileobj=io.BytesIO(loaded.content)) as archive:
        files = {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    configuration = json.loads(files["support-bundle/configuration.json"])
    assert configuration["/api/configuration/datetime/ntp_servers"] == [{"selection": "fqdn", "value": "pool.ntp.org"}]
    assert not any(PASSWORD.encode() in data or b"$argon2" in data for data in files.values())
    assert client.delete(one).status_code == 200
    assert client.get(one).status_code == 404
    assert client.get(f"{one}/download").status_code == 404


BOUNDARY = "----------------------------7d0b3c"
MULTIPART = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="firmware"; filename="f.iso"\r\n\r\n'.encode()
    + b"\0" * 300_000
    + f"\r\n--{BOUNDARY}--\r\n".encode()
)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/octet-stream", b"\x7f" * 2_000_000),
        ("application/x-iso9660-image", b"\0" * 2_000_000),
        ("application/json", MULTIPART),
        (f"multipart/form-data; boundary={BOUNDARY}", MULTIPART),
    ],
    ids=["octets", "iso", "labelled json", "multipart"],
)
def test_70_uploads_are_read_to_their_end(client: Client, kind: str, body: bytes) -> None:
    answer = client.post("/api/upload/firmware", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["errors"][0]["code"] == "not_supported"
    assert client.get("/api/info").status_code == 200


def test_70_an_upload_beyond_the_limit_is_refused(client: Client, server: Server) -> None:
    caller = Caller(server)
    caller.cookie = client.http.cookies["session_id"]
    length = {"Content-Length": str((64 << 20) + 1)}
    caller.post("/api/upload/firmware", headers=length).is_error(413, "BodyTooLarge", limit=64 << 20)
    caller.close()


@pytest.mark.parametrize("path", ["upload/firmware", "upload/plugins", "firmware/test", "firmware/upgrade", "firmware/fetch"])
def test_79_what_this_release_does_not_do_is_refused(client: Client, path: str) -> None:
    answer = client.post(f"/api/{path}", {"slot_id": 3})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "SemanticError"
    assert [error["code"] for error in answer.json()["error"]["details"]["errors"]] == ["not_supported"]


def test_79_names_are_looked_up_without_a_transaction(client: Client) -> None:
    found = client.post("/api/tools/hosts-by-name", {"hostname": "localhost", "protocol": "TCP"}).json()
    assert set(found["body"]["addresses"]) <= {"127.0.0.1", "::1"}
    assert found["body"]["addresses"]
    unknown = client.post("/api/tools/hosts-by-name", {"hostname": "nowhere.invalid", "protocol": "UDP"}).json()
    assert unknown["body"] == {"addresses": []}
    more = client.post("/api/tools/hosts-by-name", {"hostname": "localhost", "protocol": "TCP", "port": 22}).json()
    assert [(warning["code"], warning["pointer"]) for warning in more["meta"]["warnings"]] == [("unknown_member", "/port")]
    wrong = client.post("/api/tools/hosts-by-name", {"hostname": "a b", "protocol": "ICMP"}).json()
    assert [error["pointer"] for error in wrong["error"]["details"]["errors"]] == ["/hostname", "/protocol"]
    assert client.get("/api/ssh-host-keys").json()["items"] == []
    assert client.body("/api/transaction")["status"] == "closed"
