"""What an S3 server refuses with, and which code that is; what a server that means no good can't do."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from doorward.backup.targets import calls, s3_child
from doorward.backup.targets.calls import TargetRefusedError
from doorward.backup.targets.port import describe
from doorward.backup.targets.s3_child import S3Bucket
from tests.support.pki import Authority


@dataclass
class Reply:
    """What a server says."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[str, str, dict[str, str], bytes], Reply]
"""Gives the answer to method, path, headers in lower case and body."""


@dataclass
class Scripted:
    """A server behind TLS that says what a test wants, and notes what it was asked."""

    authority: Authority
    port: int = 0
    answer: Answer = lambda *_: Reply()
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    opened: list[S3Bucket] = field(default_factory=list)

    @property
    def target(self) -> dict[str, Any]:
        endpoint = f"https://127.0.0.1:{self.port}"
        return {"access_key_id": "AKID", "bucket": "b", "endpoint": endpoint, "path_style": True, "region": "r"}

    def bucket(self, answer: Answer) -> S3Bucket:
        """A bucket of the server, which answers like this from now on."""
        made = S3Bucket()
        self.opened.append(made)
        self.answer = answer
        made.connect(self.target, "the secret", self.authority.pem, 10.0)
        self.asked.clear()
        return made

    def rejected(self, authority: str | None, **changed: Any) -> str:
        """The code of a server that is not taken for what it should be."""
        made = S3Bucket()
        self.opened.append(made)
        return refused(lambda: made.connect({**self.target, **changed}, "the secret", authority, 10.0)).code


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    scripted = Scripted(Authority())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            asked = (self.command, self.path, headers, body)
            scripted.asked.append(asked)
            reply = scripted.answer(*asked)
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_any  # noqa: N815 - names that the library looks for

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*scripted.authority.identity("s3").written(tmp_path_factory.mktemp("s3"), "s3"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    scripted.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield scripted
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _moves_are_not_told(monkeypatch: pytest.MonkeyPatch, served: Scripted) -> Iterator[None]:
    monkeypatch.setattr(calls, "moved", lambda _count: None)
    yield
    while served.opened:
        served.opened.pop().close()


def refused(action: Callable[[], object]) -> TargetRefusedError:
    with pytest.raises(TargetRefusedError) as caught:
        action()
    return caught.value


def error(status: int, code: str, words: str = "words") -> Reply:
    return Reply(status, f"<Error><Code>{code}</Code><Message>{words}</Message></Error>".encode())


def listed(*entries: tuple[str, int], more: str = "") -> Reply:
    rows = "".join(
        f"<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2026-11-21T23:00:02.000Z</LastModified></Contents>"
        for key, size in entries
    )
    end = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    return Reply(body=f'<?xml version="1.0"?><ListBucketResult xmlns="http://s3/">{rows}{end}</ListBucketResult>'.encode())


def local(tmp_path: Path, content: bytes = b"content") -> int:
    file = tmp_path / "local"
    file.write_bytes(content)
    return os.open(file, os.O_RDWR)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (error(403, "InvalidAccessKeyId"), "auth_failed"),
        (error(403, "SignatureDoesNotMatch"), "auth_failed"),
        (error(403, "RequestTimeTooSkewed"), "auth_failed"),
        (error(403, "AccessDenied"), "permission_denied"),
        (error(403, "QuotaExceeded"), "quota"),
        (error(507, "XMinioStorageFull"), "no_space"),
        (error(404, "NoSuchBucket"), "no_such_path"),
        (error(412, "PreconditionFailed"), "name_exists"),
        (error(409, "ConditionalRequestConflict"), "server_busy"),
        (error(400, "BadDigest"), "verify_failed"),
        (error(501, "NotImplemented"), "protocol_unavailable"),
        (error(503, "SlowDown"), "server_busy"),
        (Reply(507), "no_space"),
        (Reply(403, b"<html>"), "permission_denied"),
        (Reply(500, b"\xff"), "server_busy"),
        (Reply(418), "protocol_unavailable"),
        (Reply(200, b"<html"), "protocol_unavailable"),
        (Reply(200, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "protocol_unavailable"),
        (Reply(200, bytes(5 << 20)), "protocol_unavailable"),
        (Reply(200, b"<a/>", {"Content-Length": "9"}), "connection_lost"),
    ],
)
def test_an_answer_tells_the_code(served: Scripted, reply: Reply, code: str) -> None:
    if "Content-Length" in reply.headers:
        reply = Reply(reply.status, reply.body, {**reply.headers, "Connection": "close"})
    assert refused(lambda: served.bucket(lambda *_: reply).log_in("")).code == code


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(served: Scripted, status: int) -> None:
    elsewhere = {"Location": f"https://localhost:{served.port}/elsewhere", "x-amz-bucket-region": "eu-central-1"}
    found = refused(lambda: served.bucket(lambda *_: Reply(status, b"", elsewhere)).log_in(""))
    assert (found.code, "eu-central-1" in found.words) == ("protocol_unavailable", True)
    assert len(served.asked) == 1


def test_a_file_is_only_written_where_its_name_is_free(served: Scripted, tmp_path: Path) -> None:
    bucket = served.bucket(lambda *_: Reply())
    bucket.write("p/config/name", {"x-amz-object-lock-mode": "COMPLIANCE"}, local(tmp_path))
    [(method, path, headers, body)] = served.asked
    assert (method, path, body) == ("PUT", "/b/p/config/name", b"content")
    assert headers["if-none-match"] == "*"
    assert headers["content-md5"] == "mgNkuembtIDdJeHwKEyFVQ=="
    assert "=content-md5;host;if-none-match;" in headers["authorization"], "nobody on the way can take it out"
    assert "x-amz-object-lock-mode" in headers["authorization"]
    assert "the secret" not in str(headers)


def parted(complete: Reply, upload: str = "up/1 &", left: str = "") -> Answer:
    """Answers to an upload in parts; ``complete`` to its end."""

    def answer(method: str, path: str, _headers: Any, body: bytes) -> Reply:
        if method == "GET":
            rows = "".join(
                f"<Upload><Key>{key}</Key><UploadId>{left}</UploadId></Upload>" for key in ("p/name", "p/name2") if left
            )
            return Reply(body=f"<ListMultipartUploadsResult>{rows}</ListMultipartUploadsResult>".encode())
        if method == "POST" and "uploads=" in path:
            named = f"<UploadId>{escape(upload)}</UploadId>"
            return Reply(body=f"<InitiateMultipartUploadResult>{named}</InitiateMultipartUploadResult>".encode())
        return complete if method == "POST" else Reply(headers={"ETag": f'"<{len(body)}>"'})

    return answer


DONE = Reply(body=b"<CompleteMultipartUploadResult/>")


def test_a_large_file_is_written_in_parts_where_its_name_is_free(served: Scripted, tmp_path: Path) -> None:
    bucket = served.bucket(parted(DONE, left="old"))
    bucket.write_parts("p/name", {"x-amz-object-lock-mode": "COMPLIANCE"}, 3, local(tmp_path, b"contents"))
    asked = [(method, path.removeprefix("/b/"), body) for method, path, _, body in served.asked]
    upload = "uploadId=up%2F1%20%26"
    tags = b"".join(
        b'<Part><PartNumber>%d</PartNumber><ETag>"&lt;%d&gt;"</ETag></Part>' % (n, size) for n, size in ((1, 3), (2, 3), (3, 2))
    )
    assert asked == [
        ("GET", "?prefix=p%2Fname&uploads=", b""),
        ("DELETE", "p/name?uploadId=old", b""),
        ("POST", "p/name?uploads=", b""),
        ("PUT", f"p/name?partNumber=1&{upload}", b"con"),
        ("PUT", f"p/name?partNumber=2&{upload}", b"ten"),
        ("PUT", f"p/name?partNumber=3&{upload}", b"ts"),
        ("POST", f"p/name?{upload}", b"<CompleteMultipartUpload>" + tags + b"</CompleteMultipartUpload>"),
    ]
    assert served.asked[2][2]["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert all("content-md5" in headers for method, _, headers, _ in served.asked if method == "PUT")
    assert ";if-none-match;" in served.asked[-1][2]["authorization"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (parted(error(412, "PreconditionFailed")), "name_exists"),
        (parted(error(200, "PreconditionFailed")), "name_exists"),
        (parted(error(200, "InternalError")), "server_busy"),
        (parted(Reply(body=b"<html>")), "protocol_unavailable"),
        (parted(DONE, upload=""), "protocol_unavailable"),
        (parted(DONE, upload="x" * 2000), "protocol_unavailable"),
    ],
    ids=["taken", "taken, told late", "busy, told late", "no XML", "no name", "a long name"],
)
def test_parts_that_come_to_nothing_are_given_up(served: Scripted, tmp_path: Path, answer: Answer, code: str) -> None:
    bucket = served.bucket(answer)
    assert refused(lambda: bucket.write_parts("p/name", {}, 3, local(tmp_path))).code == code
    has_begun = any(method == "PUT" for method, *_ in served.asked)
    assert (served.asked[-1][:2] == ("DELETE", "/b/p/name?uploadId=up%2F1%20%26")) is has_begun


def test_who_may_not_look_for_what_was_left_writes_all_the_same(served: Scripted, tmp_path: Path) -> None:
    others = parted(DONE)
    bucket = served.bucket(lambda *asked: error(403, "AccessDenied") if asked[0] == "GET" else others(*asked))
    bucket.write_parts("p/name", {}, 3, local(tmp_path))
    assert served.asked[-1][:2] == ("POST", "/b/p/name?uploadId=up%2F1%20%26")


def test_a_file_of_too_many_parts_is_given_up(served: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_child, "_MAX_PARTS", 2)
    bucket = served.bucket(parted(DONE))
    assert refused(lambda: bucket.write_parts("p/name", {}, 3, local(tmp_path, b"contents"))).code == "too_large"
    assert served.asked[-1][0] == "DELETE"


def test_a_list_is_followed_to_its_end(served: Scripted) -> None:
    pages = {"continuation-token=t%2F1": listed(("p/b", 2), ("p/c/d", 3), ("p/", 0))}

    def answer(_method: str, path: str, *_: Any) -> Reply:
        return next((page for token, page in pages.items() if token in path), listed(("p/a", 1), more="t/1"))

    found = served.bucket(answer).entries("p/")
    assert [(name, size) for name, size, _ in found] == [("a", 1), ("b", 2)]
    assert found[0][2] == 1795302002.0


@pytest.mark.parametrize(("size", "when"), [("-1", "Z"), ("", "Z"), ("9" * 5000, "Z"), ("\u0661", "Z"), ("1", "+25:00")])
def test_a_list_that_makes_no_sense_is_none(served: Scripted, size: str, when: str) -> None:
    entry = f"<Key>p/a</Key><Size>{size}</Size><LastModified>2026-11-21T23:00:02{when}</LastModified>"
    bucket = served.bucket(lambda *_: Reply(body=f"<L><Contents>{entry}</Contents></L>".encode()))
    assert refused(lambda: bucket.entries("p/")).code == "protocol_unavailable"


def test_a_list_without_end_is_given_up(served: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_child, "MAX_FILES", 3)
    assert len(served.bucket(lambda *_: listed(("p/a", 1), ("p/b", 1), more="again")).entries("p/")) == 4
    monkeypatch.setattr(s3_child, "MAX_LISTING", 3)
    assert refused(lambda: served.bucket(lambda *_: listed(("p/long", 1))).entries("p/")).code == "protocol_unavailable"
    endless = served.bucket(lambda *_: listed(more="again"))
    monkeypatch.setattr(s3_child, "_MAX_PAGES", 5)
    assert refused(lambda: endless.entries("p/")).code == "protocol_unavailable"


def test_no_more_is_read_than_was_written(served: Scripted, tmp_path: Path) -> None:
    big = served.bucket(lambda *_: Reply(body=bytes(1 << 20)))
    assert refused(lambda: big.read("x", 1000, local(tmp_path))).code == "verify_failed"
    assert refused(lambda: big.digest("x", 1000)).code == "verify_failed"
    zipped = served.bucket(lambda *_: Reply(body=bytes(100), headers={"Content-Encoding": "gzip"}))
    zipped.read("x", 1000, local(tmp_path))
    assert (tmp_path / "local").read_bytes()[:100] == bytes(100), "nothing is unpacked"


def test_a_certificate_of_somebody_else_ends_it(served: Scripted) -> None:
    for authority in (Authority().pem, None, "no certificate"):
        assert served.rejected(authority) == "certificate_rejected"
    assert served.rejected(served.authority.pem, endpoint=f"https://localhost:{served.port}") == "certificate_rejected"


@pytest.mark.parametrize(
    ("reply", "locks"),
    [
        (Reply(body=b"<C><ObjectLockEnabled>Enabled</ObjectLockEnabled></C>"), True),
        (Reply(body=b"<C/>"), False),
        (error(404, "ObjectLockConfigurationNotFoundError"), False),
    ],
)
def test_whether_a_bucket_can_lock(served: Scripted, reply: Reply, locks: bool) -> None:
    assert served.bucket(lambda *_: reply).locks() is locks


def test_a_bucket_before_the_name_of_the_server() -> None:
    target = {"type": "s3", "endpoint": "https://s3.example.com:9000", "bucket": "b", "prefix": "x/y"}
    assert describe(target) == "s3://s3.example.com:9000/b/x/y"
    assert describe({**target, "prefix": ""}) == "s3://s3.example.com:9000/b"
