"""Backups from the policy to the file on the server and back, through a real Doorward, sshd and rsync."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import openpgp
from tests.support.server import QUICK, running, until
from tests.system.backup_site import DRILLS, FILES, POLICIES, RUNS, STATUS, Site, Storage, storage
from tests.system.backup_support import Proxy, foreign_files, picture
from tests.system.command_line import CommandLine
from tests.system.mail_server import MailServer
from tests.system.sshd_support import OWNER
from tests.unit.configuration.policies.samples import HOST_KEY as OTHER_HOST_KEY


@contextmanager
def days_later(site: Site, days: int) -> Iterator[None]:
    """The server was down for some days, and is up for the time of the block."""
    server = site.server
    for environment in ({"DAYS_LATER": str(days), "HASTY": "doorward.backup.runner.MISSED_SECONDS=0.1"}, {}):
        server.stop()
        server.environment = environment
        server.start()
        site.admin = server.login()
        if environment:
            yield


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with MailServer() as started:
        yield started


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with storage(tmp_path_factory.mktemp("storage")) as made:
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, kept: Storage, mail: MailServer) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("run") / "state", launcher=QUICK) as server:
        made = Site(server, kept)
        made.set_up(
            mail=mail, start_times=["01:30"], notification_event={"type": "all", "send_filelist": True, "file_count_limit": 3}
        )
        yield made


def test_a_backup_ends_up_on_the_server_encrypted_signed_and_proven(site: Site) -> None:
    before = site.admin.body(STATUS)
    assert (before["last_success"], before["last_drill"], before["overdue"]) == (None, None, False)
    assert before["next_due"].endswith("T01:30:00Z")
    run = site.back_up()
    assert (run["result"], run["code"], run["reason"], run["author"]) == ("succeeded", None, "manual", "admin")
    assert run["target"] == f"rsync://127.0.0.1:{site.storage.sshd.port}{site.storage.path}"
    [file] = run["files"]
    stored = site.storage.config / file["name"]
    assert site.storage.names() == [file["name"], f"{file['name']}.manifest"]
    assert (stored.stat().st_size, hashlib.sha256(stored.read_bytes()).hexdigest()) == (file["size"], file["sha256"])
    assert stored.stat().st_mode & 0o777 == 0o600
    opened = tarfile.open(fileobj=io.BytesIO(openpgp.decrypted(stored)), mode="r:gz")  # noqa: SIM115 - in memory
    assert "configuration/tree.json" in opened.getnames()
    drill = site.admin.body(run["drill"])
    proven = {"basis": "before_encryption", "passed": True}
    assert drill["levels"] == {"readable": proven, "restorable": proven, "stored": {"basis": "target", "passed": True}}
    assert (drill["file"], drill["result"], drill["reason"]) == (file["name"], "passed", "run")
    after = site.admin.body(STATUS)
    assert after["last_success"] == {"at": run["ended"], "file": file["name"], "run": f"{RUNS}/{site.items(RUNS)[0]['key']}"}
    assert after["last_drill"]["level"] == "stored"
    assert (after["running"], after["last_failure"], after["warnings"]) == (None, None, [])
    assert after["encryption"] == {"enabled": True, "expires": None, "fingerprint": openpgp.fingerprints("good")[0]}
    metrics = site.admin.get("/api/metrics").text
    assert "doorward_backup_overdue 0.0" in metrics
    assert "doorward_backup_last_success_timestamp_seconds 1." in metrics


def test_the_mail_about_a_success_tells_all_and_lists_files_up_to_the_limit(site: Site, mail: MailServer) -> None:
    run = site.back_up()
    found = until(lambda: [m for m in mail.mails if run["files"][0]["name"] in m.message.get_content()], what="the mail")[0]
    text = found.message.get_content()
    assert found.recipients == ["reports@example.com"]
    assert "Backup succeeded: nightly" in found.message["Subject"]
    for told in (run["target"], run["files"][0]["sha256"], "stored (target)", "MANIFEST.json", "left out by file_count_limit"):
        assert told in text


def test_what_is_on_the_server_is_listed_judged_and_handed_out(site: Site) -> None:
    name = site.back_up()["files"][0]["name"]
    stranger = site.storage.config / "doorward-20200101T000000Z-00000000.config"
    stranger.write_bytes(b"of another node")
    (site.storage.config / "notes.txt").write_text("of somebody else")
    forged = site.storage.config / f"doorward-20200102T000000Z-{name[26:34]}.config"
    forged.write_bytes(b"forged")
    forged.with_name(f"{forged.name}.manifest").write_bytes((site.storage.config / f"{name}.manifest").read_bytes())
    listed = {item["key"]: item["body"] for item in site.items(FILES)}
    assert "notes.txt" not in listed
    assert (listed[name]["ours"], listed[name]["signature"], listed[name]["encrypted"]) == (True, "valid", True)
    assert (listed[stranger.name]["ours"], listed[stranger.name]["signature"]) == (False, "absent")
    assert (listed[forged.name]["ours"], listed[forged.name]["signature"]) == (False, "invalid")
    assert next(iter(listed)) == name
    assert [item["key"] for item in site.items(f"{FILES}?limit=2&offset=1")] == list(listed)[1:3]
    assert site.admin.body(f"{FILES}/{name}?backup_policy={site.policy}") == listed[name]
    answer = site.admin.get(f"{FILES}/{name}/download")
    assert answer.content == (site.storage.config / name).read_bytes()
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert site.admin.get(f"{FILES}/doorward-20200101T000000Z-11111111.config").status_code == 404
    assert site.admin.get(f"{FILES}/notes.txt").status_code == 404
    assert site.admin.get(f"{FILES}?backup_policy=nothing").json()["error"]["type"] == "InvalidQuery"
    for file in (stranger, forged, forged.with_name(f"{forged.name}.manifest")):
        file.unlink()


def test_a_drill_finds_every_changed_bit(site: Site) -> None:
    name = site.back_up()["files"][0]["name"]
    assert site.drill({"selection": "target", "value": None})["result"] == "passed"
    for file in (site.storage.config / name, site.storage.config / f"{name}.manifest"):
        whole = file.read_bytes()
        file.write_bytes(bytes([*whole[:200], whole[200] ^ 1, *whole[201:]]))
        drill = site.drill({"selection": "target", "value": name})
        assert (drill["result"], drill["code"], drill["levels"]["stored"]["passed"]) == ("failed", "drill_failed", False)
        file.write_bytes(whole)
    other = re.sub(r"-\d{8}T\d{6}Z-", "-20371121T230002Z-", name)  # an old backup in the place of a newer one
    renamed = {site.storage.config / f"{name}{end}": site.storage.config / f"{other}{end}" for end in ("", ".manifest")}
    for file, copy in renamed.items():
        file.rename(copy)
    drill = site.drill({"selection": "target", "value": other})
    assert (drill["result"], drill["code"], drill["levels"]["stored"]["passed"]) == ("failed", "drill_failed", False)
    assert name in drill["message"]
    for file, copy in renamed.items():
        copy.rename(file)
    missing = site.drill({"selection": "target", "value": "doorward-20200101T000000Z-11111111.config"})
    assert (missing["result"], missing["code"]) == ("failed", "no_such_path")
    refused = site.admin.post(DRILLS, {"source": {"selection": "upload", "value": "nothing"}})
    assert refused.json()["error"]["details"]["errors"][0]["code"] == "unknown_reference"
    wrong = site.admin.post(DRILLS, {"source": {"selection": "target", "value": "../etc/passwd"}})
    assert wrong.json()["error"]["details"]["errors"][0]["pointer"] == "/source/value"


def test_the_key_holder_decrypts_a_backup_and_drills_it_whole(site: Site, tmp_path: Path) -> None:
    name = site.back_up()["files"][0]["name"]
    plain = openpgp.decrypted(site.storage.config / name)
    sent = site.admin.post("/api/upload/backup", content=plain, headers={"Content-Type": "application/octet-stream"})
    drill = site.drill({"selection": "upload", "value": sent.json()["key"]})
    assert (drill["result"], drill["file"], drill["author"]) == ("passed", name, "admin")
    assert {level: found["basis"] for level, found in drill["levels"].items()} == {
        "readable": "upload", "restorable": "upload", "stored": "target",
    }  # fmt: skip
    changed = site.admin.post(
        "/api/upload/backup",
        content=plain[:-9] + bytes([plain[-9] ^ 1]) + plain[-8:],
        headers={"Content-Type": "application/octet-stream"},
    )
    drill = site.drill({"selection": "upload", "value": changed.json()["key"]})
    assert (drill["result"], drill["code"], drill["levels"]["readable"]["passed"]) == ("failed", "drill_failed", False)


def test_a_target_is_tried_and_a_server_shows_its_keys(site: Site) -> None:
    tried = site.admin.post("/api/backup/target_tests", {"backup_policy": site.policy}).json()["body"]
    assert (tried["result"], tried["code"]) == ("ok", None), tried
    assert [step["step"] for step in tried["steps"]] == [
        "resolve", "connect", "identify", "authenticate", "write", "read_back", "delete",
    ]  # fmt: skip
    target = site.admin.body(f"{POLICIES}/{site.policy}")["target"]
    key = target["authentication_key"]["key"]
    wrong = {**target, "authentication_key": key, "path": "/nothing/here"}
    tried = site.admin.post("/api/backup/target_tests", {"target": wrong}).json()["body"]
    assert (tried["result"], tried["code"]) == ("failed", "no_such_path")
    for body, kind, code, pointer in (
        ({}, "InvalidRequestBody", "missing", "/backup_policy"),
        ({"backup_policy": site.policy, "target": wrong}, "InvalidRequestBody", "contradiction", "/target"),
        ({"backup_policy": "nothing"}, "SemanticError", "unknown_reference", "/backup_policy"),
        (
            {"target": {**wrong, "authentication_key": "nothing"}},
            "SemanticError",
            "unknown_reference",
            "/target/authentication_key",
        ),
    ):
        error = site.admin.post("/api/backup/target_tests", body).json()["error"]
        assert error["type"] == kind
        assert [(found["code"], found["pointer"]) for found in error["details"]["errors"]] == [(code, pointer)]
    server = {"port": site.storage.sshd.port, "server": {"selection": "ip", "value": "127.0.0.1"}}
    shown = site.admin.post("/api/backup/host_keys", server).json()["body"]
    assert (shown["code"], [found["public_key"] for found in shown["host_keys"]]) == (None, [site.storage.sshd.host_key])
    assert shown["host_keys"][0]["fingerprint"].startswith("SHA256:")


def test_the_command_backs_up_and_tells_how_the_backups_do(site: Site, tmp_path: Path) -> None:
    run = CommandLine(site.server, tmp_path)
    done = run("backup", "now")
    assert done.code == 0, done
    assert "is stored on rsync://127.0.0.1" in done.out
    assert set(done.err.split()) & {"preparing", "uploading", "verifying"}
    status = run.ok("backup", "status")
    assert "Policy:       nightly" in status
    assert [name for name in site.storage.names() if name.endswith(".gpg")][-1] in status
    assert run.ok("backup", "list", "--limit", "1").splitlines()[1].split()[3:5] == ["manual", "succeeded"]
    assert "stored: proven (target)" in run.ok("backup", "drill")
    name = [name for name in site.storage.names() if name.endswith(".gpg")][-1]
    assert run.ok("backup", "drill", name).splitlines()[0] == name
    (tmp_path / "plain").write_bytes(openpgp.decrypted(site.storage.config / name))
    before = site.items("/api/backup/uploads")
    assert run.ok("backup", "drill", "--file", "plain").splitlines()[-4:] == [
        "readable: proven (upload)", "restorable: proven (upload)", "stored: proven (target)", "It would come back.",
    ]  # fmt: skip
    assert site.items("/api/backup/uploads") == before
    (tmp_path / "plain").write_bytes(b"no archive")
    for wrong, words in (
        (("doorward-20200101T000000Z-00000000.config",), "no_such_path"),
        (("--file", "plain"), "It is no archive"),
        ((name, "--file", "x"), "together"),
    ):
        failed = run("backup", "drill", *wrong)
        assert (failed.code != 0, words in failed.err) == (True, True), failed
    assert "is queued" in run.ok("backup", "now", "--no-wait")
    site.finished(site.items(RUNS)[0]["meta"]["href"])


def test_old_backups_go_and_nothing_else(site: Site) -> None:
    shutil.rmtree(site.storage.config, ignore_errors=True)
    foreign_files(site.storage.config, OWNER)
    before = picture(site.storage.config)
    old = [site.back_up()["files"][0]["name"] for _ in range(2)]
    site.change(retention={"enabled": True, "keep_days": 1, "keep_last": 1})
    new = site.back_up()["files"][0]["name"]
    assert set(site.storage.names()) >= {*old, new}
    leftover = site.storage.config / f".{new}.part"
    leftover.write_bytes(b"half")
    os.utime(leftover, (time.time() - 90_000,) * 2)
    with days_later(site, 2):
        run = until(lambda: next((item for item in site.items(RUNS) if item["body"]["reason"] == "missed"), None))
        made_up_for = site.finished(run["meta"]["href"])
        assert (made_up_for["result"], made_up_for["scheduled_for"][11:]) == ("succeeded", "01:30:00Z")
        newest = made_up_for["files"][0]["name"]
    after = picture(site.storage.config)
    assert set(after) - set(before) == {newest, f"{newest}.manifest"}
    assert {name: after[name] for name in before} == before
    site.change(retention={"enabled": False})


def test_a_failure_is_told_by_alert_and_mail_and_the_next_run_is_clean(site: Site, mail: MailServer) -> None:
    target = site.admin.body(f"{POLICIES}/{site.policy}")["target"]
    target["authentication_key"] = target["authentication_key"]["key"]
    site.change(target={**target, "server_host_keys": [OTHER_HOST_KEY]})
    run = site.back_up()
    assert (run["result"], run["code"], len(run["attempts"]), run["drill"]) == ("failed", "host_key_mismatch", 1, None)
    status = site.admin.body(STATUS)
    assert status["last_failure"]["code"] == "host_key_mismatch"
    texts = until(
        lambda: found if len(found := [m for m in mail.mails if "host_key_mismatch" in m.message.get_content()]) > 1 else None
    )
    assert {mail.recipients[0] for mail in texts} == {"admin@example.com"}
    assert any("xcbBackupFailed" in mail.message["Subject"] for mail in texts)
    assert any("Backup failed: nightly" in mail.message["Subject"] for mail in texts)
    answer = site.admin.get(FILES)
    assert (answer.status_code, answer.json()["error"]["details"]["code"]) == (503, "host_key_mismatch")
    assert answer.headers["retry-after"]
    site.change(target=target)
    assert site.back_up()["result"] == "succeeded"


def test_a_run_can_be_cancelled_and_only_one_waits(site: Site, mail: MailServer) -> None:
    with Proxy(("127.0.0.1", site.storage.sshd.port)) as proxy:
        proxy.stall_after = 0
        target = site.admin.body(f"{POLICIES}/{site.policy}")["target"]
        target["authentication_key"] = target["authentication_key"]["key"]
        site.change(target={**target, "port": proxy.port})
        working = site.now()
        until(lambda: site.admin.body(working)["status"] == "uploading")
        waiting = site.now()
        refused = site.admin.post(RUNS)
        assert (refused.status_code, refused.json()["error"]["details"]["resource"]) == (409, waiting)
        assert site.admin.body(STATUS)["running"] == working
        for path in (waiting, working):
            assert site.admin.delete(path).status_code == 200
            assert site.finished(path)["code"] == "cancelled"
        assert site.admin.delete(working).status_code == 409
        site.change(target=target)
    for path in (waiting, working):  # the policy asks for a mail about every run
        told = [f"Record:   {path}", "Code:     cancelled"]
        until(lambda told=told: [m for m in mail.mails if all(line in m.message.get_content() for line in told)], what="the mail")  # type: ignore[misc]


def test_without_a_policy_there_is_nothing_to_run(tmp_path: Path) -> None:
    with running(tmp_path / "state") as server:
        admin = server.login()
        for answer in (admin.post(RUNS), admin.get(FILES), admin.post(DRILLS, {"source": {"selection": "target"}})):
            error = answer.json()["error"]
            assert (answer.status_code, error["type"], error["details"]["errors"][0]["code"]) == (
                400,
                "SemanticError",
                "no_backup_policy",
            )
        status = admin.body(STATUS)
        assert (status["policy"], status["next_due"], status["overdue"]) == (None, None, False)
        assert admin.get(f"{RUNS}?limit=0").json()["error"]["type"] == "InvalidQuery"
        assert admin.get(f"{RUNS}/nothing").status_code == 404
