"""The target s3 against a real SeaweedFS."""

from __future__ import annotations

import random
import re
import stat
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from doorward.backup.targets import port
from doorward.backup.targets.limits import MAX_ARCHIVE
from doorward.backup.targets.s3 import S3Directory
from doorward.backup.targets.s3_objects import PART
from tests.support.ports import free_port
from tests.system.backup_support import ARCHIVE, NODE, Opener, Proxy, content, fails, impatient, tried
from tests.system.privileges import assert_unprivileged
from tests.system.seaweed_support import ACCOUNT, READER, READER_SECRET, SECRET, Seaweed

GOVERNANCE = {"enabled": True, "mode": "governance", "days": 3}
FOREIGN = ("notes.txt", "with blank & more", "ümlaut", f".{ARCHIVE}", "inner/deeper", "a*")


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """What the keys of a test begin with."""
    return f"of/{re.sub('[^a-z0-9]', '-', tmp_path.name)}"


@pytest.fixture
def opener(seaweed: Seaweed, prefix: str, tmp_path: Path) -> Opener:
    body = {
        "type": "s3", "endpoint": seaweed.endpoint, "region": "us-east-1", "bucket": "backups", "prefix": prefix,
        "path_style": True, "access_key_id": ACCOUNT, "secret_access_key": "secret", "server_certificate_ca": "authority",
        "object_lock": {"enabled": False},
    }  # fmt: skip
    secrets = {"secret": SECRET, "reader": READER_SECRET}
    return Opener(body, secrets, tmp_path / "work", certificates={"authority": seaweed.authority.pem})


@pytest.fixture
def reader(opener: Opener) -> Opener:
    """Somebody who may only look."""
    return opener.changed(access_key_id=READER, secret_access_key="reader")


def at(proxy: Proxy) -> dict[str, Any]:
    return {"endpoint": f"https://127.0.0.1:{proxy.port}"}


def test_a_file_goes_there_and_comes_back(opener: Opener, seaweed: Seaweed, prefix: str, tmp_path: Path) -> None:
    sent = content(tmp_path, 2_500_000)
    with opener(per_node=True) as target:
        assert target.names() == []
        target.prepare()
        for _ in range(2):
            target.put(ARCHIVE, sent)
        [entry] = target.names()
        assert (entry.name, entry.size) == (ARCHIVE, 2_500_000)
        assert abs((entry.modified or 0) - time.time()) < 3600
        assert seaweed.ask("GET", f"backups/{prefix}/{NODE}/config/{ARCHIVE}").content == sent.read_bytes()
        target.fetch(ARCHIVE, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == sent.read_bytes()
        assert stat.S_IMODE((tmp_path / "back").stat().st_mode) == 0o600
        for _ in range(2):
            target.delete(ARCHIVE)
        assert target.names() == []
        fails("no_such_path", lambda: target.fetch(ARCHIVE, tmp_path / "again"))
    assert not (tmp_path / "again").exists()


def test_foreign_files_stay_as_they_are(opener: Opener, seaweed: Seaweed, prefix: str, tmp_path: Path) -> None:
    for name in FOREIGN:
        assert seaweed.ask("PUT", f"backups/{prefix}/config/{name}", name.encode()).is_success
    with opener() as target:
        assert {entry.name for entry in target.names()} == {*FOREIGN} - {"inner/deeper"}
        target.put(ARCHIVE, content(tmp_path))
        target.delete(ARCHIVE)
        assert target.partial() == []
    assert tried(opener).code is None
    for name in FOREIGN:
        assert seaweed.ask("GET", f"backups/{prefix}/config/{name}").content == name.encode()


def test_a_taken_name_is_not_overwritten(opener: Opener, seaweed: Seaweed, prefix: str, tmp_path: Path) -> None:
    place = f"backups/{prefix}/config/{ARCHIVE}"
    sent = content(tmp_path)
    with opener() as target:
        assert isinstance(target, S3Directory)
        for held in (b"of somebody else", bytes(100_000)):
            seaweed.ask("PUT", place, held)
            fails("name_exists", lambda: target.put(ARCHIVE, sent))
            with sent.open("rb") as file:
                assert not target.written("Writing", target.root + ARCHIVE, file, 100_000, None), "nor by who did not look before"
            assert seaweed.ask("GET", place).content == held


def test_a_large_file_goes_in_parts(opener: Opener, seaweed: Seaweed, prefix: str, tmp_path: Path) -> None:
    place, sent = f"backups/{prefix}/config/{ARCHIVE}", content(tmp_path, 2 * PART + 1)
    uploads = f"backups?uploads&prefix={prefix}"
    assert "<UploadId>" in seaweed.ask("POST", f"{place}?uploads").text
    assert "<UploadId>" in seaweed.ask("GET", uploads).text
    with opener() as target:
        assert isinstance(target, S3Directory)
        target.put(ARCHIVE, sent)
        assert seaweed.ask("GET", place).content == sent.read_bytes()
        assert "<UploadId>" not in seaweed.ask("GET", uploads).text, "what was left went"
        assert seaweed.ask("PUT", place, b"of somebody else").is_success
        fails("name_exists", lambda: target.put(ARCHIVE, sent))
        with sent.open("rb") as file:
            assert not target.written("Writing", target.root + ARCHIVE, file, 2 * PART + 1, None), "nor by who did not look"
        assert seaweed.ask("GET", place).content == b"of somebody else"
        assert "<UploadId>" not in seaweed.ask("GET", uploads).text, "what did not end was given up"
    with opener(bucket="locked", object_lock=GOVERNANCE) as target:
        target.put(ARCHIVE, sent)
        assert seaweed.ask("HEAD", f"locked/{prefix}/config/{ARCHIVE}").headers["x-amz-object-lock-mode"] == "GOVERNANCE"


def test_what_is_locked_stays(opener: Opener, seaweed: Seaweed, prefix: str, tmp_path: Path) -> None:
    place = f"locked/{prefix}/config/{ARCHIVE}"
    for mode in ("governance", "compliance"):
        with opener(bucket="locked", object_lock={**GOVERNANCE, "mode": mode}) as target:
            target.put(ARCHIVE, content(tmp_path))
            shown = seaweed.ask("HEAD", place).headers
            assert shown["x-amz-object-lock-mode"] == mode.upper()
            target.delete(ARCHIVE)
            assert target.names() == [], "it is only hidden"
        version = f"{place}?versionId={shown['x-amz-version-id']}"
        assert seaweed.ask("DELETE", version).status_code == 403
        assert len(seaweed.ask("GET", version).content) == 100_000
    trial = tried(opener, bucket="locked", object_lock=GOVERNANCE)
    assert trial.code is None, trial.message
    fails("protocol_unavailable", partial(opener, object_lock=GOVERNANCE))


def test_the_steps_of_a_trial(opener: Opener, reader: Opener) -> None:
    steps = ["resolve", "connect", "identify", "authenticate", "write", "read_back", "delete"]
    assert [step.step for step in tried(opener).steps] == steps
    trial = tried(reader)
    assert (trial.code, trial.steps[-1].step) == ("permission_denied", "write")


def test_the_login_is_refused(opener: Opener) -> None:
    fails("auth_failed", opener.with_secret("secret", "wrong"))
    fails("auth_failed", partial(opener, access_key_id="nobody"))
    fails("auth_failed", partial(opener, secret_access_key="no such secret"))
    fails("no_such_path", partial(opener, bucket="missing"))


def test_the_directory_belongs_to_somebody_else(opener: Opener, reader: Opener, tmp_path: Path) -> None:
    with opener() as target:
        target.put("kept", content(tmp_path))
    with reader() as target:
        fails("permission_denied", lambda: target.put(ARCHIVE, content(tmp_path)))
        fails("permission_denied", lambda: target.delete("kept"))
        assert [entry.name for entry in target.names()] == ["kept"]


def test_a_certificate_of_somebody_else(opener: Opener, seaweed: Seaweed) -> None:
    for changed in (
        {"server_certificate_ca": None}, {"server_certificate_ca": "no such"}, {"endpoint": f"https://localhost:{seaweed.port}"},
    ):  # fmt: skip
        fails("certificate_rejected", partial(opener, **changed))


def test_nobody_on_the_way_can_read_it(opener: Opener, seaweed: Seaweed, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"nobody may read this" * 100)
    with Proxy(("127.0.0.1", seaweed.port)) as proxy, opener(**at(proxy)) as target:
        target.put("secret", secret)
        assert proxy.passed > 2000
        assert b"nobody may read this" not in proxy.heard


def test_nobody_listens_and_nobody_is_called_that(opener: Opener) -> None:
    fails("connect", partial(opener, endpoint=f"https://127.0.0.1:{free_port()}"))
    fails("resolve", partial(opener, endpoint="https://backup.invalid"))
    fails("resolve", partial(opener, endpoint="https://invalid", path_style=False))


def test_cut_anywhere_the_final_name_is_whole_or_absent(opener: Opener, seaweed: Seaweed, prefix: str, tmp_path: Path) -> None:
    sent = content(tmp_path, 3_000_000)
    chance = random.Random(7)  # noqa: S311 - only has to be the same at every run
    for _ in range(2):
        with Proxy(("127.0.0.1", seaweed.port)) as proxy, opener(**at(proxy)) as target:
            proxy.cut_after = proxy.passed + chance.randrange(2000, 3_000_000)
            fails("connection_lost", lambda target=target: target.put(ARCHIVE, sent))  # type: ignore[misc]
            assert seaweed.ask("HEAD", f"backups/{prefix}/config/{ARCHIVE}").status_code == 404
    with Proxy(("127.0.0.1", seaweed.port)) as proxy:
        proxy.cut_after = 100
        assert fails("connect", partial(opener, **at(proxy))).transient
    with Proxy(("127.0.0.1", seaweed.port)) as proxy, opener(**at(proxy)) as target:
        target.put(ARCHIVE, sent)
        proxy.cut_back_after = proxy.passed_back + 1_500_000
        fails("connection_lost", lambda: target.fetch(ARCHIVE, tmp_path / "back"))
    assert not (tmp_path / "back").exists()


def test_what_an_earlier_try_left_does_not_hinder(opener: Opener, seaweed: Seaweed, tmp_path: Path) -> None:
    """A try that stopped in the middle left nothing, one whose answer was lost left the whole."""
    sent = content(tmp_path, 500_000)
    with Proxy(("127.0.0.1", seaweed.port)) as proxy, opener(**at(proxy)) as target:
        proxy.cut_after = proxy.passed + 250_000
        fails("connection_lost", lambda: target.put(ARCHIVE, sent))
    with Proxy(("127.0.0.1", seaweed.port)) as proxy, opener(**at(proxy)) as target:
        assert target.names() == []
        target.put(ARCHIVE, sent)
    with opener() as target:
        target.put(ARCHIVE, sent)
        assert [(entry.name, entry.size) for entry in target.names()] == [(ARCHIVE, 500_000)]


def test_a_server_that_stops_moving(opener: Opener, seaweed: Seaweed, tmp_path: Path) -> None:
    with Proxy(("127.0.0.1", seaweed.port)) as proxy, opener(**at(proxy)) as target:
        impatient(target)
        proxy.stall_after = proxy.passed + 100_000
        fails("stalled", lambda: target.put(ARCHIVE, content(tmp_path, 8_000_000)))
    with Proxy(("127.0.0.1", seaweed.port)) as proxy:
        proxy.stall_after = 0
        fails("timeout", partial(opener, **at(proxy), attempt=2.0))
        threading.Timer(0.3, opener.stop.set).start()
        fails("cancelled", partial(opener, **at(proxy)))


def test_a_server_that_is_slow_will_do(opener: Opener, seaweed: Seaweed, tmp_path: Path) -> None:
    with Proxy(("127.0.0.1", seaweed.port)) as proxy, opener(**at(proxy)) as target:
        proxy.delay = 0.04
        began = time.monotonic()
        target.put(ARCHIVE, content(tmp_path, 4_000_000))
        assert time.monotonic() - began > 2


def test_a_file_that_became_huge_is_not_read_whole(opener: Opener, seaweed: Seaweed, prefix: str, tmp_path: Path) -> None:
    with opener() as target:
        seaweed.ask("PUT", f"backups/{prefix}/config/{ARCHIVE}", bytes(2_000_000))
        fails("verify_failed", lambda: target.fetch(ARCHIVE, tmp_path / "back", 1000))
        (tmp_path / "into").mkdir()
        fails("verify_failed", lambda: target.fetch_all([ARCHIVE, "missing"], tmp_path / "into"))
        fails("name_exists", lambda: target.put(ARCHIVE, content(tmp_path, 1000)))
    assert not (tmp_path / "back").exists()
    assert list((tmp_path / "into").iterdir()) == []


def test_a_directory_of_too_many_files_is_none_of_ours(
    opener: Opener, seaweed: Seaweed, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        seaweed.ask("PUT", f"backups/{prefix}/config/file-{number}", b"x")
    with opener() as target:
        assert len(target.names()) == 4
        monkeypatch.setattr(port, "MAX_FILES", 3)
        assert not fails("protocol_unavailable", target.names).transient


def test_the_process_that_talks_has_no_privileges_and_shows_no_secret(opener: Opener) -> None:
    with opener() as target:
        place = Path(f"/proc/{target._child.pid}")  # type: ignore[attr-defined]
        assert_unprivileged((place / "status").read_text(), capabilities=1 << 10)
        assert re.search(rf"Max file size +{MAX_ARCHIVE + 1} ", (place / "limits").read_text())
        for shown in ("cmdline", "environ"):
            assert SECRET.encode() not in (place / shown).read_bytes()
