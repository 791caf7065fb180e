"""Exports, uploads, restores and signing keys over the wire (backup contract, section 10)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.wire import TRANSACTION, ZONE, Caller, make_user
from tests.support import openpgp
from tests.support.server import PASSWORD, Client, Server, until

ROOT = "/api/backup"
EXPORTS, UPLOADS, RESTORES, KEYS = (f"{ROOT}/{name}" for name in ("exports", "uploads", "restores", "signing_keys"))
UPLOAD = "/api/upload/backup"
ENCRYPTION = "/api/configuration/management/exported_configuration_encryption"
ACCOUNTING = "/api/configuration/management/accounting"


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    """Another login session, which gets files as well."""
    return server.login()


def exported(client: Client, **encryption: Any) -> Any:
    answer = client.post(EXPORTS, {"encryption": {"selection": "none"} | encryption})
    assert answer.status_code == 201, answer.text
    return answer.json()


def downloaded(client: Client, **encryption: Any) -> bytes:
    answer = client.get(exported(client, **encryption)["meta"]["href"] + "/download")
    assert answer.status_code == 200
    return answer.content


def uploaded(admin: Caller, data: bytes) -> str:
    return str(admin.post(UPLOAD, content=data, headers={"Content-Type": "application/octet-stream"}).ok(201).json["key"])


def restored(login: Callable[..., Caller], caller: Caller, order: Any) -> dict[str, Any]:
    """Ask for a restore and return how it ended; its success ends the login session."""
    href = caller.post(RESTORES, order).ok(202).meta["href"]

    def ended() -> Any:
        answer = caller.get(href)
        if answer.status == 401:
            answer = login().get(href)
        body = answer.ok().json["body"]
        return body if body["status"] == "finished" else None

    found: dict[str, Any] = until(ended, what="the restore")
    return found


def order(upload: str, **more: Any) -> dict[str, Any]:
    return {"source": {"selection": "upload", "value": upload}, **more}


def test_what_hangs_there(admin: Caller) -> None:
    keys = [item["key"] for item in admin.get(ROOT).ok().json["items"]]
    assert {"exports", "restores", "signing_keys", "uploads"} <= set(keys)
    assert keys == sorted(keys)
    assert [item["key"] for item in admin.get("/api/upload").ok().json["items"]] == ["backup", "firmware", "plugins"]


def test_an_export_in_clear_is_warned_of(admin: Caller, client: Client) -> None:
    answer = admin.post(EXPORTS, {"encryption": {"selection": "none"}}).ok(201)
    assert answer.header("Location") == answer.meta["href"] == f"{EXPORTS}/{answer.json['key']}"
    assert [(w["code"], w["pointer"]) for w in answer.meta["warnings"]] == [("secrets_in_clear", "/encryption/selection")]
    body = answer.json["body"]
    assert sorted(body) == ["created", "encryption", "expires", "file_name", "sha256", "size"]
    hostname = admin.body("/api/configuration/network/naming")["hostname"]
    assert re.fullmatch(rf"{hostname}-\d{{8}}T\d{{4}}\.config", body["file_name"])
    assert admin.body(answer.meta["href"]) == body
    assert admin.get(EXPORTS).ok().json["items"][0]["key"] == answer.json["key"]
    file = client.get(f"{answer.meta['href']}/download")
    assert file.headers["content-disposition"] == f'attachment; filename="{body["file_name"]}"'
    assert len(file.content) == body["size"]
    admin.delete(answer.meta["href"]).ok()
    admin.get(answer.meta["href"]).is_error(404, "NotFound")


def test_exports_are_refused_with_a_place(admin: Caller) -> None:
    admin.post(EXPORTS, {}).refuses("InvalidRequestBody", ("missing", "/encryption"))
    admin.post(EXPORTS, {"encryption": {"selection": "x"}}).refuses("InvalidRequestBody", ("enum", "/encryption/selection"))
    short = {"encryption": {"password": "short", "selection": "password"}}
    admin.post(EXPORTS, short).refuses("InvalidRequestBody", ("length", "/encryption/password"))
    admin.post(EXPORTS, {"encryption": {"selection": "gpg"}}).refuses("SemanticError", ("no_public_key", "/encryption"))


def test_an_export_to_the_configured_key(admin: Caller, client: Client, tmp_path: Path) -> None:
    key = {"public_key": openpgp.public_key("good")}
    admin.put(ENCRYPTION, {"encryption": {"enabled": True, "gpg_public_key": key}}).ok()
    admin.commit().ok()
    made = exported(client, selection="gpg")
    assert made["body"]["file_name"].endswith(".config-gpg")
    assert "warnings" not in made["meta"]
    (tmp_path / "x").write_bytes(client.get(made["meta"]["href"] + "/download").content)
    assert openpgp.decrypted(tmp_path / "x")[:2] == b"\x1f\x8b"
    admin.put(ENCRYPTION, {"encryption": {"enabled": False}}).ok()
    admin.commit().ok()


def test_uploads_are_kept_and_removed(admin: Caller) -> None:
    answer = admin.post(UPLOAD, content=b"anything", headers={"Content-Type": "application/octet-stream"}).ok(201)
    key, href = answer.json["key"], f"{UPLOADS}/{answer.json['key']}"
    assert answer.header("Location") == href
    assert answer.json["body"]["size"] == 8
    assert admin.body(href) == answer.json["body"]
    assert [item["key"] for item in admin.get(f"{UPLOADS}?limit=1").ok().json["items"]] == [key]
    assert key not in [item["key"] for item in admin.get(f"{UPLOADS}?offset=1").ok().json["items"]]
    admin.get(f"{UPLOADS}?limit=0").is_error(400, "InvalidQuery")
    admin.delete(href).ok()
    admin.get(href).is_error(404, "NotFound")


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/mixed; boundary=x"]
)
def test_upload_of_another_media_type(admin: Caller, kind: str) -> None:
    answer = admin.post(UPLOAD, content=b"anything", headers={"Content-Type": kind})
    answer.is_error(415, "UnsupportedMediaType", accepted=["application/octet-stream", "multipart/form-data"])


@pytest.mark.parametrize("kind", ["application/octet-stream", "text/plain", ""])
def test_empty_upload(admin: Caller, kind: str) -> None:
    before = admin.get(UPLOADS).json["items"]
    admin.post(UPLOAD, content=b"", headers={"Content-Type": kind} if kind else None).is_error(400, "BadRequest")
    assert admin.get(UPLOADS).json["items"] == before


def test_empty_part_of_an_upload(admin: Caller, client: Client) -> None:
    before = admin.get(UPLOADS).json["items"]
    answer = client.http.post(UPLOAD, files={"backup": ("b.config", b"")})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "BadRequest")
    assert admin.get(UPLOADS).json["items"] == before


@pytest.mark.parametrize("content", [b"\r\n", b"text", bytes(range(256)) * 300, b"\r\n--other\r\n"])
def test_multipart_uploads(admin: Caller, client: Client, content: bytes) -> None:
    files = {"other": ("a", b"first"), "backup": ("b.config", content), "more": ("c", b"last")}
    answer = client.http.post(UPLOAD, files=files)
    assert answer.status_code == 201, answer.text
    assert answer.json()["body"]["size"] == len(content)


@pytest.mark.parametrize(
    "body",
    [b"", b"--b\r\n", b"--b--", b"x", b'--b\r\nContent-Disposition: form-data; name="backup"\r\n\r\nx', b"--b\r\n\r\n\r\n--b--"],
)
def test_multipart_bodies_that_are_none(admin: Caller, body: bytes) -> None:
    admin.post(UPLOAD, content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}).is_error(400, "BadRequest")


def test_too_large_an_upload(admin: Caller) -> None:
    admin.post(UPLOAD, content=b"x", headers={"Content-Length": str((64 << 20) + 1)}).is_error(413, "BodyTooLarge")
    admin.close()


def test_a_trial_shows_what_would_change(admin: Caller, client: Client, login: Callable[..., Caller]) -> None:
    data = downloaded(client)
    admin.put(ZONE, "Asia/Tokyo").ok()
    admin.commit().ok()
    upload = uploaded(admin, data)
    found = restored(login, admin, order(upload, dry_run=True))
    assert (found["result"], found["dry_run"], found["code"], found["revision"]) == ("succeeded", True, None, None)
    assert found["changes"] == [{"new_value": "Etc/UTC", "old_value": "Asia/Tokyo", "path": ZONE, "type": "replace"}]
    assert {action["path"] for action in found["plan"]} == {ZONE, "/api/configuration/troubleshooting"}
    assert all(check["passed"] for check in found["checks"])
    assert admin.body(ZONE) == "Asia/Tokyo"
    assert admin.get(RESTORES).ok().json["items"][0]["body"] == found


def test_a_restore_is_one_commit_and_ends_all_login_sessions(
    admin: Caller, client: Client, login: Callable[..., Caller], server: Server
) -> None:
    data = downloaded(client, selection="password", password="twelve characters")
    mine, other = login(), login()
    mine.put(ZONE, "US/Eastern").ok()
    mine.commit().ok()
    other.put(ZONE, "US/Pacific").ok()
    upload = uploaded(mine, data)
    before = mine.get("/api/revisions?limit=1").ok().json["items"][0]["key"]
    found = restored(login, mine, order(upload, password="twelve characters", commit_message="after the flood"))
    assert (found["result"], found["status"], found["author"]) == ("succeeded", "finished", "admin")
    assert found["revision"] == int(before) + 1
    again = login()
    revision = again.body(f"/api/revisions/{found['revision']}")
    assert revision["commit_message"] == f"restore of {found['file']} ({int(before) - 1}): after the flood"
    assert again.body(ZONE) != "US/Eastern"
    mine.get(ZONE).is_error(401, "Unauthenticated")
    other.get(TRANSACTION).is_error(401, "Unauthenticated")
    assert "twelve characters" not in json.dumps(found)
    admin.cookie = again.cookie


@pytest.fixture
def admin(login: Callable[..., Caller]) -> Iterator[Caller]:
    """A login session of its own, since restores end them all."""
    caller = login()
    yield caller
    caller.close()


def test_the_end_of_a_restore_is_waited_for(admin: Caller, client: Client) -> None:
    """It ends the login session that asked, which learns of it all the same."""
    client.get("/api/authentication", auth=("admin", PASSWORD))
    upload = uploaded(admin, downloaded(client))
    tried = admin.post(RESTORES, order(upload, dry_run=True), headers={"Prefer": "wait=60"}).ok(202)
    assert (tried.json["body"]["status"], tried.json["body"]["result"]) == ("finished", "succeeded")
    looked = admin.get(tried.meta["href"], headers={"Prefer": "wait=60"}).ok()
    assert looked.json["body"] == tried.json["body"]
    done = admin.post(RESTORES, order(upload), headers={"Prefer": "handling=strict, wait=60"}).ok(202)
    assert (done.json["body"]["status"], done.json["body"]["result"]) == ("finished", "succeeded")
    admin.get(done.meta["href"]).is_error(401, "Unauthenticated")


def test_archives_that_are_not_taken(admin: Caller, client: Client, login: Callable[..., Caller]) -> None:
    client.get("/api/authentication", auth=("admin", PASSWORD))
    found = restored(login, admin, order(uploaded(admin, b"something else")))
    assert (found["result"], found["code"], found["file"]) == ("failed", "not_a_backup", None)
    assert found["checks"] == [{"check": "format", "code": "not_a_backup", "message": found["message"], "passed": False}]
    data = bytearray(downloaded(client))
    data[len(data) // 2] ^= 4
    found = restored(login, admin, order(uploaded(admin, bytes(data))))
    assert (found["result"], found["code"]) == ("failed", "damaged")
    protected = downloaded(client, selection="password", password="twelve characters")
    assert restored(login, admin, order(uploaded(admin, protected)))["code"] == "password_required"
    assert restored(login, admin, order(uploaded(admin, protected), password="no"))["code"] == "wrong_password"


def test_what_can_be_told_at_once(admin: Caller, client: Client) -> None:
    admin.post(RESTORES, {}).refuses("InvalidRequestBody", ("missing", "/source"))
    admin.post(RESTORES, order("x", scope="all", network="some")).refuses(
        "InvalidRequestBody", ("enum", "/network"), ("enum", "/scope")
    )
    missing = {"source": {"selection": "target", "value": "../../etc/passwd"}}
    admin.post(RESTORES, missing).refuses("InvalidRequestBody", ("format", "/source/value"))
    admin.post(RESTORES, order("nothing")).is_error(404, "NotFound", resource="nothing")
    admin.get(f"{RESTORES}/nothing").is_error(404, "NotFound")


def test_a_reason_is_asked_for_where_commits_need_one(admin: Caller, login: Callable[..., Caller]) -> None:
    admin.put(ACCOUNTING, {"require_commitlog": True}).ok()
    admin.commit().ok()
    upload = uploaded(admin, b"something else")
    admin.post(RESTORES, order(upload)).refuses("SemanticError", ("message_required", "/commit_message"))
    assert restored(login, admin, order(upload, dry_run=True))["code"] == "not_a_backup"
    assert restored(login, admin, order(upload, commit_message="why"))["code"] == "not_a_backup"
    admin.put(ACCOUNTING, {"require_commitlog": False}).ok()
    admin.commit("done").ok()


def test_not_while_a_commit_awaits_its_confirmation(admin: Caller) -> None:
    upload = uploaded(admin, b"something else")
    admin.put(ZONE, "Africa/Cairo").ok()
    admin.commit(confirm_seconds=3600).ok()
    admin.post(RESTORES, order(upload)).is_error(409, "Conflict")
    admin.put(TRANSACTION, {"status": "confirm"}).ok()


def test_a_target_without_a_policy(admin: Caller, login: Callable[..., Caller]) -> None:
    source = {"selection": "target", "value": "doorward-20261121T230002Z-46f97a58.config"}
    found = restored(login, admin, {"source": source})
    assert (found["result"], found["code"], found["checks"]) == ("failed", "policy_changed", [])


def test_keys_of_other_nodes_are_trusted_and_forgotten(admin: Caller) -> None:
    [own] = admin.get(KEYS).ok().json["items"]
    assert own["body"]["role"] == "current"
    assert admin.get(own["meta"]["href"]).ok().json["body"] == own["body"]
    admin.delete(own["meta"]["href"]).is_error(409, "Conflict")
    public = base64.b64encode(b"\xff" * 32).decode()
    made = admin.post(KEYS, {"public_key": public}).ok(201)
    assert made.json["body"] == {**made.json["body"], "public_key": public, "role": "trusted"}
    assert "/" not in made.meta["href"].removeprefix(f"{KEYS}/")
    assert admin.post(KEYS, {"public_key": public}).ok(201).json["body"] == made.json["body"]
    assert admin.get(made.meta["href"]).ok().json["body"] == made.json["body"]
    assert [item["body"]["role"] for item in admin.get(KEYS).ok().json["items"]] == ["trusted", "current"]
    assert admin.post(KEYS, {"public_key": own["body"]["public_key"]}).ok(201).json["body"]["role"] == "current"
    admin.delete(made.meta["href"]).ok()
    admin.get(made.meta["href"]).is_error(404, "NotFound")
    for wrong in ("", "x", public[:-4], public + "AAAA"):
        admin.post(KEYS, {"public_key": wrong}).refuses("InvalidRequestBody", ("format", "/public_key"))


def test_rights(admin: Caller, login: Callable[..., Caller], client: Client, server: Server) -> None:
    client.get("/api/authentication", auth=("admin", PASSWORD))
    made = exported(client)["meta"]["href"]
    groups = {
        item["body"]["name"]: item["key"] for item in admin.get("/api/configuration/aaa/local_database/groups").json["items"]
    }
    make_user(admin, "reader", "a reader of backups 1", groups["basic-view"])
    acls = admin.body("/api/configuration/aaa/acls")
    line = {"group": "basic-view", "objects": ["/special/backup"], "permission": "read"}
    admin.put("/api/configuration/aaa/acls", [*acls, line]).ok()
    admin.commit().ok()
    reader = login("reader", "a reader of backups 1")
    reader.get(made).ok()
    for path in (EXPORTS, UPLOADS, RESTORES, KEYS):
        reader.get(path).ok()
    reader.get(f"{made}/download").is_error(403, "Unauthorized")
    for path in (EXPORTS, RESTORES, KEYS):
        reader.post(path, {}).is_error(403, "Unauthorized")
    reader.post(UPLOAD, content=b"x").is_error(403, "Unauthorized")
