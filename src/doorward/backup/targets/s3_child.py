"""Objects in a bucket, by httpx2 and requests-aws4auth, in a process of its own: it reads what a server on the Internet sends.

Run as a module it takes calls (``calls``); its argument is how many bytes it may write into a file here. The secret key comes
with the first call and is nowhere else: neither the environment nor files nor addresses with metadata are asked for credentials.
TLS always; no redirect is followed.
"""

from __future__ import annotations

import base64
import encodings.idna  # noqa: F401 - loaded before files are out of reach, as httpcore2 is, which httpx2 loads late
import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import httpcore2  # noqa: F401

from doorward.backup.targets import calls
from doorward.backup.targets.calls import TargetRefusedError
from doorward.backup.targets.limits import MAX_ARCHIVE, MAX_FILES, MAX_KEY, MAX_LISTING, MAX_PAGE
from doorward.backup.targets.s3_requests import S3Requests, refuse, text_of
from doorward.host import unprivileged

_MAX_DIGITS, _MAX_TAG = 18, 1024
_MAX_PAGES = 10 * MAX_FILES // 1000
_MAX_PARTS = 10_000


class S3Bucket:
    """A bucket. Keys of objects consist of letters, digits and ``. _ - /``."""

    def __init__(self) -> None:
        self._connection: S3Requests | None = None

    @property
    def _server(self) -> S3Requests:
        if self._connection is None:
            raise TargetRefusedError("connection_lost", "there is no connection yet")
        return self._connection

    def connect(self, target: Mapping[str, Any], secret: str, authority: str | None, seconds: float) -> None:
        """Reach the server and check its certificate. ``target``: as in the policy; ``seconds``: how long any answer may take."""
        self._connection = S3Requests(target, secret, authority, seconds)

    def log_in(self, prefix: str) -> None:
        """See that the bucket is there and shows what is in it."""
        self._page(prefix, 1, None)

    def locks(self) -> bool:
        """Whether objects of the bucket can be locked."""
        try:
            found = S3Requests.xml(self._server.ask("GET", "", {"object-lock": ""}))
        except TargetRefusedError as refused:
            if refused.code == "no_such_path":  # ObjectLockConfigurationNotFoundError
                return False
            raise
        return text_of(found, "ObjectLockEnabled") == "Enabled"

    def entries(self, prefix: str) -> list[tuple[str, int, float]]:
        """Return name, size and time of the objects right below a prefix, one more than there may be at most."""
        found: list[tuple[str, int, float]] = []
        size, token = 0, None
        for _ in range(_MAX_PAGES):
            page = self._page(prefix, 1000, token)
            encoded = text_of(page, "EncodingType") == "url"
            for entry in page.iter("Contents"):
                key = text_of(entry, "Key")
                name = (unquote_plus(key) if encoded else key).removeprefix(prefix)
                size += len(name)
                if name and "/" not in name:
                    found.append((name, _number(text_of(entry, "Size")), _when(text_of(entry, "LastModified"))))
            if size > MAX_LISTING:
                raise TargetRefusedError("protocol_unavailable", "the server lists far too much")
            token = text_of(page, "NextContinuationToken") or None
            if len(found) > MAX_FILES or text_of(page, "IsTruncated") != "true" or token is None:
                return found
        raise TargetRefusedError("protocol_unavailable", "the list of the server has no end")

    def page(self, prefix: str, after: str) -> list[tuple[str, int]]:
        """Return name and size of a thousand objects below a prefix at most, without it: those whose names come after one."""
        asked = {"list-type": "2", "prefix": prefix, "encoding-type": "url", "max-keys": str(MAX_PAGE)}
        if after:
            asked["start-after"] = prefix + after
        page = S3Requests.xml(self._server.ask("GET", "", asked))
        is_encoded = text_of(page, "EncodingType") == "url"
        found: list[tuple[str, int]] = []
        for entry in page.iter("Contents"):
            key = unquote_plus(text_of(entry, "Key")) if is_encoded else text_of(entry, "Key")
            if not key.startswith(prefix) or len(key) > MAX_KEY or len(found) >= MAX_PAGE:
                raise TargetRefusedError("protocol_unavailable", "the server lists something else than it was asked for")
            found.append((key.removeprefix(prefix), _number(text_of(entry, "Size"))))
        return found

    def status(self, key: str) -> tuple[int, str, float, str] | None:
        """Return size, lock, its end (seconds since the epoch) and tag of an object, None when there is none."""
        try:
            answer = self._server.ask("HEAD", key)
        except TargetRefusedError as refused:
            if refused.code == "no_such_path":
                return None
            raise
        until = answer.headers.get("x-amz-object-lock-retain-until-date", "")
        mode = answer.headers.get("x-amz-object-lock-mode", "").lower()
        tag = answer.headers.get("etag", "")[:_MAX_TAG]
        return _number(answer.headers.get("content-length", "")), mode, _when(until) if until else 0.0, tag

    def write(self, key: str, headers: dict[str, str], local: int) -> None:
        """Write an open local file as a new object. ``name_exists`` when the key is taken."""
        with calls.local_file(local, "rb") as source:
            content = source.read(MAX_ARCHIVE + 1)
        self._server.ask("PUT", key, headers={**headers, "If-None-Match": "*", "Content-MD5": _md5(content)}, content=content)

    def write_parts(self, key: str, headers: dict[str, str], size: int, local: int) -> None:
        """Write an open local file as a new object, in parts of a size. ``name_exists`` when the key is taken.

        What broken tries to write this key left on the server goes first.
        """
        with calls.local_file(local, "rb") as source:
            for left in self._unfinished(key):
                self._server.ask("DELETE", key, {"uploadId": left})
            begun = S3Requests.xml(self._server.ask("POST", key, {"uploads": ""}, headers=headers))
            upload = text_of(begun, "UploadId")
            if not 0 < len(upload) <= _MAX_TAG:
                raise TargetRefusedError("protocol_unavailable", "the server gives an upload no name")
            try:
                self._complete(key, upload, [self._part(key, upload, *part) for part in enumerate(_parts(source, size), 1)])
            except BaseException:
                with suppress(TargetRefusedError):
                    self._server.ask("DELETE", key, {"uploadId": upload})
                raise

    def _part(self, key: str, upload: str, number: int, content: bytes) -> str:
        asked = {"partNumber": str(number), "uploadId": upload}
        answer = self._server.ask("PUT", key, asked, headers={"Content-MD5": _md5(content)}, content=content)
        return str(answer.headers.get("etag", ""))[:_MAX_TAG]

    def _complete(self, key: str, upload: str, tags: list[str]) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>" for number, tag in enumerate(tags, 1)
        )
        content = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        answer = self._server.ask("POST", key, {"uploadId": upload}, headers={"If-None-Match": "*"}, content=content)
        if S3Requests.xml(answer).tag != "CompleteMultipartUploadResult":  # status 200 was sent before it was known
            refuse(answer, answer.extensions["whole"])

    def _unfinished(self, key: str) -> list[str]:
        """Return the names of uploads of exactly this key that were neither finished nor given up; none for who may not look."""
        try:
            found = S3Requests.xml(self._server.ask("GET", "", {"uploads": "", "prefix": key}))
        except TargetRefusedError as refused:
            if refused.code == "permission_denied":  # rules of the bucket tidy up
                return []
            raise
        names = (text_of(one, "UploadId") for one in found.iter("Upload") if text_of(one, "Key") == key)
        return [name for name in names if 0 < len(name) <= _MAX_TAG]

    def lock(self, key: str, mode: str, until: str) -> None:
        """Lock an object that is there, or lock it for longer."""
        content = f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>".encode()
        headers = {"Content-MD5": _md5(content)}
        self._server.ask("PUT", key, {"retention": ""}, headers=headers, content=content)

    def read(self, key: str, most: int, local: int) -> None:
        """Copy an object of so many bytes at most into an open local file, which is empty."""
        with calls.local_file(local, "wb") as sink:
            for chunk in self._server.chunks(key, most):
                calls.keep(sink, chunk)

    def digest(self, key: str, size: int) -> str:
        """Return the SHA-256 of an object of so many bytes at most."""
        found = hashlib.sha256()
        for chunk in self._server.chunks(key, size):
            found.update(chunk)
        return found.hexdigest()

    def delete(self, key: str) -> None:
        """Delete an object, if there is one. With versions it is hidden: they are kept as the bucket's own rules say."""
        self._server.ask("DELETE", key)

    def close(self) -> None:
        """Let go of the server."""
        if self._connection is not None:
            self._connection.close()

    def _page(self, prefix: str, most: int, token: str | None) -> ET.Element:
        asked = {"list-type": "2", "prefix": prefix, "delimiter": "/", "encoding-type": "url", "max-keys": str(most)}
        return S3Requests.xml(self._server.ask("GET", "", {**asked, "continuation-token": token} if token else asked))


def _md5(content: bytes) -> str:
    """Return what Content-MD5 says of a body: against damage on the way, not against people."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _when(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise TargetRefusedError("protocol_unavailable", "the server tells no time") from None


def _parts(source: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield a file in parts. Raises ``too_large`` where there are more than S3 allows."""
    for number, part in enumerate(iter(partial(source.read, size), b"")):
        if number >= _MAX_PARTS:
            raise TargetRefusedError("too_large", f"it has more than {_MAX_PARTS} parts of {size} bytes")
        yield part


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        raise TargetRefusedError("protocol_unavailable", "the server tells no size")
    return int(text)


def main() -> None:
    """Answer calls until there are no more."""
    unprivileged.drop(int(sys.argv[1]) + 1)
    calls.serve(S3Bucket())


if __name__ == "__main__":
    main()
