"""A bucket that lies, breaks off or refuses: what comes from it is what was sent or nothing, with a word for what is wrong."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from doorward.archiving import bucket, fetching
from doorward.sessions.trails import TrailUnavailableError
from tests.support.pki import Authority
from tests.support.recorded import key_of, shell, trail
from tests.system.backup_support import impatient
from tests.system.seaweed_support import ACCOUNT, SECRET, Seaweed
from tests.unit.archiving.parts import ArchivingSite

RECORDED, ANOTHER = trail(shell(5)), trail(shell(5))
LIST = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
LOCKS = b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"
WHEN = "%Y-%m-%dT%H:%M:%SZ"


def refusal(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>\x1b[31mas you like</Message></Error>".replace("\x1b", "").encode()


class Store:
    """Objects in memory, behind TLS. ``mood``: how it answers who asks for one."""

    def __init__(self, directory: Path) -> None:
        self.mood, self.objects, self.locks = "honest", dict[str, bytes](), dict[str, tuple[str, str]]()
        self.goes_on = threading.Event()
        self.authority = Authority()
        certificate, key = self.authority.identity("s3").written(directory, "s3")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Answers, self))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def place(self) -> dict[str, Any]:
        endpoint = f"https://127.0.0.1:{self._server.server_address[1]}"
        return {"access_key_id": ACCOUNT, "bucket": "recordings", "endpoint": endpoint, "prefix": "", "path_style": True}

    def close(self) -> None:
        self.goes_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Answers(BaseHTTPRequestHandler):
    """One connection to the store."""

    protocol_version = "HTTP/1.1"

    def __init__(self, store: Store, *of_socket: Any) -> None:
        self.store = store
        super().__init__(*of_socket)

    def handle(self) -> None:
        with suppress(OSError):  # whoever asked has heard enough
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    @property
    def asked(self) -> tuple[str, set[str]]:
        parts = urlsplit(self.path)
        return parts.path.removeprefix("/recordings").strip("/"), set(parse_qs(parts.query, keep_blank_values=True))

    def answer(
        self, status: int, body: bytes = b"", length: int | None = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        key, _ = self.asked
        if not key:
            self.answer(200)
        elif key in self.store.objects:
            mode, until = self.store.locks.get(key, ("", ""))
            locked = {"x-amz-object-lock-mode": mode, "x-amz-object-lock-retain-until-date": until} if mode else {}
            self.answer(200, length=len(self.store.objects[key]), headers={"ETag": '"x"', **locked})
        else:
            self.answer(404)

    def do_PUT(self) -> None:
        key, query = self.asked
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "retention" in query:
            if self.store.mood == "locks":
                until = body.split(b"<RetainUntilDate>")[1].split(b"<")[0].decode()
                self.store.locks[key] = ("COMPLIANCE", until)
        else:
            self.store.objects[key] = body
            if "x-amz-object-lock-mode" in self.headers:
                asked, short = self.headers["x-amz-object-lock-retain-until-date"], datetime.now(UTC) + timedelta(hours=1)
                self.store.locks[key] = ("COMPLIANCE", asked if self.store.mood == "locks" else short.strftime(WHEN))
        self.answer(200)

    def do_GET(self) -> None:
        key, query = self.asked
        if not key:
            self.answer(200, LOCKS if "object-lock" in query else LIST)
            return
        whole = self.store.objects[key]
        if self.store.mood in CONTENT:
            self.answer(200, CONTENT[self.store.mood](whole))
            return
        match self.store.mood:
            case "broken off":
                self.answer(200, whole[:-20], length=len(whole))
                self.close_connection = True
            case "endless":
                self.answer(200, whole, length=1 << 60)
                while True:
                    self.wfile.write(bytes(1 << 16))
            case "silent":
                self.answer(200, whole[:20], length=len(whole))
                self.store.goes_on.wait()
            case "elsewhere":
                self.answer(307, headers={"Location": f"http://169.254.169.254/{key}"})
            case "no answer of S3":
                self.answer(500, b"<html>" * 1_000_000)
            case told:
                status, _, code = told.partition(" ")
                self.answer(int(status), refusal(code))


CONTENT: dict[str, Callable[[bytes], bytes]] = {
    "honest": lambda whole: whole,
    "locks": lambda whole: whole,
    "changed": lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
    "another": lambda _: ANOTHER,
    "shorter": lambda whole: whole[:-20],
}
MOODS = {
    "changed": ("verify_failed", True, True),
    "another": ("verify_failed", True, True),
    "shorter": ("verify_failed", True, True),
    "endless": ("verify_failed", True, True),
    "404 NoSuchKey": ("no_such_path", True, True),
    "404 NoSuchBucket": ("no_such_path", True, True),
    "broken off": ("connection_lost", False, False),
    "silent": ("stalled", False, False),
    "503 SlowDown": ("server_busy", False, False),
    "403 AccessDenied": ("permission_denied", False, True),
    "403 SignatureDoesNotMatch": ("auth_failed", False, True),
    "elsewhere": ("protocol_unavailable", False, True),
    "no answer of S3": ("protocol_unavailable", False, True),
}
"""By what the bucket does: the code, whether the recording is lost, whether there is an alert."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(Store(tmp_path_factory.mktemp("store"))) as made:
        yield made


@pytest.fixture(scope="module")
def site(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchivingSite]:
    """A node whose recordings are in the bucket alone."""
    directory = tmp_path_factory.mktemp("node")
    with closing(ArchivingSite(directory, place=store.place, secret=SECRET, authority=store.authority.pem)) as made:
        made.put(1, RECORDED)
        made.turn()
        assert made.row(1).is_archived
        (made.trails.directory / f"{key_of(1)}.dwr").unlink()
        yield made


def impatiently_opened(*given: Any) -> bucket.Bucket:
    made = bucket.open_bucket(*given)
    impatient(made._objects)
    return made


def refused(site: ArchivingSite) -> TrailUnavailableError:
    with pytest.raises(TrailUnavailableError) as caught:
        site.trails.open(site.row(1))
    return caught.value


@pytest.mark.parametrize("mood", MOODS)
def test_a_recording_is_what_was_sent_or_there_is_none(
    store: Store, site: ArchivingSite, mood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mood == "silent":
        monkeypatch.setattr(fetching, "open_bucket", impatiently_opened)
    monkeypatch.setattr(fetching, "WAIT_SECONDS", 300.0)
    site.archiver.fetched._alerted.clear()
    site.told.alerts.clear()
    store.mood = mood
    code, is_lost, is_told = MOODS[mood]
    failure = refused(site)
    assert (failure.code, failure.is_lasting) == (code, is_lost), failure.message
    assert failure.message.isprintable()
    assert site.told.alerts == ([(code, f"/api/audit/sessions/{key_of(1)}")] if is_told else [])
    assert list((site.directory / "trails-fetched").iterdir()) == []
    store.mood = "honest"
    monkeypatch.setattr(fetching, "open_bucket", bucket.open_bucket)
    with site.trails.open(site.row(1)) as file:
        assert file.read() == RECORDED
    site.archiver.fetched.clear()


def test_what_is_locked_for_less_than_the_policy_says_is_not_archived(store: Store, tmp_path: Path) -> None:
    lock = {"enabled": True, "mode": "compliance", "days": 2}
    made = ArchivingSite(
        tmp_path, place={**store.place, "object_lock": lock}, secret=SECRET, authority=store.authority.pem
    )  # fmt: skip
    with closing(made) as site:
        site.put(2, RECORDED)
        for _ in range(2):  # also where it finds what it sent before
            site.turn()
            [trouble] = site.archiver._trails.values()
            assert trouble.code == "verify_failed"
            assert "locked" in trouble.message
            assert not site.row(2).is_archived
            site.retry()
        store.mood = "locks"
        site.turn()
        assert site.row(2).is_archived, "it is locked for longer"


def test_a_secret_that_was_changed_there_is_told_and_changed_here(seaweed: Seaweed, tmp_path: Path) -> None:
    place = {"access_key_id": ACCOUNT, "bucket": "backups", "endpoint": seaweed.endpoint, "prefix": "rotated"}
    with closing(ArchivingSite(tmp_path, place=place, secret=SECRET, authority=seaweed.authority.pem)) as site:
        site.put(1, RECORDED)
        site.turn()
        (site.trails.directory / f"{key_of(1)}.dwr").unlink()
        seaweed.change_secret("another secret")
        try:
            assert refused(site).code == "auth_failed"
            assert [code for code, _ in site.told.alerts] == ["auth_failed"]
        finally:
            seaweed.change_secret(SECRET)
        with site.trails.open(site.row(1)) as file:
            assert file.read() == RECORDED
