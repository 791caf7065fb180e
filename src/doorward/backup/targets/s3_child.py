"""Objects in a bucket, by httpx2 and requests-aws4auth, in a process of its own: it reads what a server on the Internet sends.

Run as a module it takes calls (``calls``); its argument is how many bytes it may write into a file here. The secret key comes
with the first call and is nowhere else: neither the environment nor files nor addresses with metadata are asked for credentials.
TLS always; no redirect is followed.
"""

from __future__ import annotations

import base64
import encodings.idna  # noqa: F401 - loaded before files are out of reach, as httpcore2 is, which httpx2 loads late
import hashlib
import re
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, NoReturn
from urllib.parse import quote, unquote_plus, urlencode
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import httpcore2  # noqa: F401
import httpx2
from requests_aws4auth import AWS4Auth

from doorward.backup.targets import calls
from doorward.backup.targets.calls import TargetRefusedError
from doorward.backup.targets.limits import MAX_ARCHIVE, MAX_FILES, MAX_LISTING
from doorward.host import unprivileged
from doorward.host.tls import client_context

_CHUNK = 256 * 1024
_MAX_ANSWER, _MAX_WORDS = 4 << 20, 200
"""Bytes of an answer that is no object: a list has at most 1,000 entries. Characters of a server's own words."""
_MAX_DIGITS, _MAX_TAG = 18, 1024
_MAX_PAGES = 10 * MAX_FILES // 1000
_MAX_PARTS = 10_000
_NAMESPACE = re.compile(r"\{[^}]*\}")

_SIGNED = {"host", "x-amz-*", "if-none-match", "content-md5"}
"""Headers that nobody on the way can take out."""

_MEANINGS = {
    "InvalidAccessKeyId": "auth_failed", "SignatureDoesNotMatch": "auth_failed", "RequestTimeTooSkewed": "auth_failed",
    "InvalidToken": "auth_failed", "ExpiredToken": "auth_failed", "AuthorizationHeaderMalformed": "auth_failed",
    "AccessDenied": "permission_denied", "AllAccessDisabled": "permission_denied", "MethodNotAllowed": "read_only_target",
    "NoSuchBucket": "no_such_path", "NoSuchKey": "no_such_path", "InvalidBucketName": "no_such_path",
    "PreconditionFailed": "name_exists", "ConditionalRequestConflict": "server_busy", "OperationAborted": "server_busy",
    "SlowDown": "server_busy", "ServiceUnavailable": "server_busy", "InternalError": "server_busy", "RequestTimeout": "stalled",
    "QuotaExceeded": "quota", "XMinioAdminBucketQuotaExceeded": "quota", "EntityTooLarge": "quota",
    "XMinioStorageFull": "no_space", "InsufficientStorage": "no_space", "BadDigest": "verify_failed",
}  # fmt: skip
"""Codes of S3, and of what others say in the same place."""
_STATUS = {
    401: "auth_failed", 403: "permission_denied", 404: "no_such_path", 405: "read_only_target", 408: "stalled",
    409: "server_busy", 412: "name_exists", 429: "server_busy", 500: "server_busy", 502: "server_busy", 503: "server_busy",
    504: "server_busy", 507: "no_space",
}  # fmt: skip


class S3Bucket:
    """A bucket. Keys of objects consist of letters, digits and ``. _ - /``."""

    def __init__(self) -> None:
        self._client: httpx2.Client | None = None
        self._url = ""
        self._sign: Any = None

    def connect(self, target: Mapping[str, Any], secret: str, authority: str | None, seconds: float) -> None:
        """Reach the server and check its certificate. ``target``: as in the policy; ``seconds``: how long any answer may take."""
        try:
            context = client_context(authority)
        except (ssl.SSLError, OSError) as error:
            raise TargetRefusedError("certificate_rejected", f"the authority can't be used: {error}") from None
        self._client = httpx2.Client(verify=context, trust_env=False, follow_redirects=False, timeout=seconds)
        self._sign = AWS4Auth(target["access_key_id"], secret, target["region"], "s3", include_hdrs=_SIGNED)
        scheme, _, host = str(target["endpoint"]).rstrip("/").partition("://")
        bucket = target["bucket"]
        self._url = f"{scheme}://{host}/{bucket}" if target["path_style"] else f"{scheme}://{bucket}.{host}"
        with _asking():
            self._client.head(f"{scheme}://{host}/")  # whatever it says: that it may say it is what counts

    def log_in(self, prefix: str) -> None:
        """See that the bucket is there and shows what is in it."""
        self._page(prefix, 1, None)

    def locks(self) -> bool:
        """Whether objects of the bucket can be locked."""
        try:
            found = self._xml(self._ask("GET", "", {"object-lock": ""}))
        except TargetRefusedError as refused:
            if refused.code == "no_such_path":  # ObjectLockConfigurationNotFoundError
                return False
            raise
        return _text(found, "ObjectLockEnabled") == "Enabled"

    def entries(self, prefix: str) -> list[tuple[str, int, float]]:
        """Return name, size and time of the objects right below a prefix, one more than there may be at most."""
        found: list[tuple[str, int, float]] = []
        size, token = 0, None
        for _ in range(_MAX_PAGES):
            page = self._page(prefix, 1000, token)
            encoded = _text(page, "EncodingType") == "url"
            for entry in page.iter("Contents"):
                key = _text(entry, "Key")
                name = (unquote_plus(key) if encoded else key).removeprefix(prefix)
                size += len(name)
                if name and "/" not in name:
                    found.append((name, _number(_text(entry, "Size")), _when(_text(entry, "LastModified"))))
            if size > MAX_LISTING:
                raise TargetRefusedError("protocol_unavailable", "the server lists far too much")
            token = _text(page, "NextContinuationToken") or None
            if len(found) > MAX_FILES or _text(page, "IsTruncated") != "true" or token is None:
                return found
        raise TargetRefusedError("protocol_unavailable", "the list of the server has no end")

    def status(self, key: str) -> tuple[int, str, float, str] | None:
        """Return size, lock, its end (seconds since the epoch) and tag of an object, None when there is none."""
        try:
            answer = self._ask("HEAD", key)
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
        self._ask("PUT", key, headers={**headers, "If-None-Match": "*", "Content-MD5": _md5(content)}, content=content)

    def write_parts(self, key: str, headers: dict[str, str], size: int, local: int) -> None:
        """Write an open local file as a new object, in parts of a size. ``name_exists`` when the key is taken.

        What broken tries to write this key left on the server goes first.
        """
        with calls.local_file(local, "rb") as source:
            for left in self._unfinished(key):
                self._ask("DELETE", key, {"uploadId": left})
            begun = self._xml(self._ask("POST", key, {"uploads": ""}, headers=headers))
            upload = _text(begun, "UploadId")
            if not 0 < len(upload) <= _MAX_TAG:
                raise TargetRefusedError("protocol_unavailable", "the server gives an upload no name")
            try:
                self._complete(key, upload, [self._part(key, upload, *part) for part in enumerate(_parts(source, size), 1)])
            except BaseException:
                with suppress(TargetRefusedError):
                    self._ask("DELETE", key, {"uploadId": upload})
                raise

    def _part(self, key: str, upload: str, number: int, content: bytes) -> str:
        asked = {"partNumber": str(number), "uploadId": upload}
        answer = self._ask("PUT", key, asked, headers={"Content-MD5": _md5(content)}, content=content)
        return str(answer.headers.get("etag", ""))[:_MAX_TAG]

    def _complete(self, key: str, upload: str, tags: list[str]) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>" for number, tag in enumerate(tags, 1)
        )
        content = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        answer = self._ask("POST", key, {"uploadId": upload}, headers={"If-None-Match": "*"}, content=content)
        if self._xml(answer).tag != "CompleteMultipartUploadResult":  # status 200 was sent before it was known
            _refuse(answer, answer.extensions["whole"])

    def _unfinished(self, key: str) -> list[str]:
        """Return the names of uploads of exactly this key that were neither finished nor given up; none for who may not look."""
        try:
            found = self._xml(self._ask("GET", "", {"uploads": "", "prefix": key}))
        except TargetRefusedError as refused:
            if refused.code == "permission_denied":  # rules of the bucket tidy up
                return []
            raise
        names = (_text(one, "UploadId") for one in found.iter("Upload") if _text(one, "Key") == key)
        return [name for name in names if 0 < len(name) <= _MAX_TAG]

    def lock(self, key: str, mode: str, until: str) -> None:
        """Lock an object that is there, or lock it for longer."""
        content = f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>".encode()
        headers = {"Content-MD5": _md5(content)}
        self._ask("PUT", key, {"retention": ""}, headers=headers, content=content)

    def read(self, key: str, most: int, local: int) -> None:
        """Copy an object of so many bytes at most into an open local file, which is empty."""
        with calls.local_file(local, "wb") as sink:
            for chunk in self._chunks(key, most):
                calls.keep(sink, chunk)

    def digest(self, key: str, size: int) -> str:
        """Return the SHA-256 of an object of so many bytes at most."""
        found = hashlib.sha256()
        for chunk in self._chunks(key, size):
            found.update(chunk)
        return found.hexdigest()

    def delete(self, key: str) -> None:
        """Delete an object, if there is one. With versions it is hidden: they are kept as the bucket's own rules say."""
        self._ask("DELETE", key)

    def close(self) -> None:
        """Let go of the server."""
        if self._client is not None:
            self._client.close()

    def _page(self, prefix: str, most: int, token: str | None) -> ET.Element:
        asked = {"list-type": "2", "prefix": prefix, "delimiter": "/", "encoding-type": "url", "max-keys": str(most)}
        return self._xml(self._ask("GET", "", {**asked, "continuation-token": token} if token else asked))

    def _chunks(self, key: str, most: int) -> Iterator[bytes]:
        count = 0
        with _asking(), self._sent("GET", key, {}, {}, b"") as answer:
            if answer.status_code != httpx2.codes.OK:
                _refuse(answer, _whole(answer))
            for chunk in answer.iter_raw(_CHUNK):
                count += len(chunk)
                if count > most:
                    raise TargetRefusedError("verify_failed", "the server sends more than was ever written there")
                calls.moved(count)
                yield chunk

    def _ask(
        self, method: str, key: str, query: dict[str, str] | None = None, *,
        headers: dict[str, str] | None = None, content: bytes = b"",
    ) -> httpx2.Response:  # fmt: skip
        """Ask for something whose answer is short."""
        with _asking(), self._sent(method, key, query or {}, headers or {}, content) as answer:
            body = _whole(answer)
            if not answer.is_success:
                _refuse(answer, body)
            answer.extensions["whole"] = body
            return answer

    @contextmanager
    def _sent(
        self, method: str, key: str, query: dict[str, str], headers: dict[str, str], content: bytes
    ) -> Iterator[httpx2.Response]:
        """Sign and send a request; the answer comes as it is read."""
        if self._client is None:
            raise TargetRefusedError("connection_lost", "there is no connection yet")
        asked = f"?{urlencode(sorted(query.items()), quote_via=quote)}" if query else ""
        url = f"{self._url}/{quote(key)}{asked}"
        headers = {**headers, "Accept-Encoding": "identity"}
        request = self._sign(self._client.build_request(method, url, headers=headers, content=content))
        if content:
            request.stream = _Moving(content)
        answer = self._client.send(request, stream=True)
        try:
            yield answer
        finally:
            answer.close()

    def _xml(self, answer: httpx2.Response) -> ET.Element:
        try:
            return _parsed(answer.extensions["whole"])
        except (ET.ParseError, ValueError):
            raise TargetRefusedError("protocol_unavailable", "the answer is none of S3") from None


def _md5(content: bytes) -> str:
    """Return what Content-MD5 says of a body: against damage on the way, not against people."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


class _Moving(httpx2.SyncByteStream):
    """A body that is told about as it leaves."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._content), _CHUNK):
            yield bytes(self._content[start : start + _CHUNK])
            calls.moved(start)


@contextmanager
def _asking() -> Iterator[None]:
    """Turn what goes wrong on the way into refusals."""
    try:
        yield
    except httpx2.TimeoutException:
        raise TargetRefusedError("stalled", "no answer in time") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLError):
            cause = cause.__cause__ or cause.__context__
        if isinstance(cause, ssl.SSLCertVerificationError):
            words = f"its certificate is not accepted: {cause.verify_message}"
            raise TargetRefusedError("certificate_rejected", words) from None
        broken = isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        if cause is not None and not broken and isinstance(error, httpx2.ConnectError):
            raise TargetRefusedError("encryption_unavailable", f"no TLS: {cause.reason or cause}") from None
        code = "connect" if isinstance(error, httpx2.ConnectError) else "connection_lost"
        raise TargetRefusedError(code, str(error) or type(error).__name__) from None


def _refuse(answer: httpx2.Response, body: bytes) -> NoReturn:
    """Raise what an answer means that is no success."""
    if answer.is_redirect:
        region = answer.headers.get("x-amz-bucket-region")
        raise TargetRefusedError(
            "protocol_unavailable", "the server sends us elsewhere" + (f"; region {region}" if region else "")
        )
    try:
        found = _parsed(body)
        code, words = _text(found, "Code"), _text(found, "Message")
    except (ET.ParseError, ValueError):
        code, words = "", ""
    meaning = _MEANINGS.get(code) or _STATUS.get(answer.status_code, "protocol_unavailable")
    raise TargetRefusedError(meaning, f"status {answer.status_code} {code}: {words}".rstrip(": ")[:_MAX_WORDS])


def _whole(answer: httpx2.Response) -> bytes:
    """Read an answer that is no object."""
    found = bytearray()
    for chunk in answer.iter_raw(_CHUNK):
        found += chunk
        if len(found) > _MAX_ANSWER:
            raise TargetRefusedError("protocol_unavailable", "the server's answer is far too long")
        calls.moved(len(found))
    return bytes(found)


def _parsed(body: bytes) -> ET.Element:
    """Parse XML without types of its own, and without its namespaces. Raises ParseError or ValueError."""
    if b"<!" in body:
        raise ValueError("no declarations are expected")
    root = ET.fromstring(body)  # noqa: S314 - declarations, which could make it large, are refused
    for element in root.iter():
        element.tag = _NAMESPACE.sub("", element.tag)
    return root


def _text(element: ET.Element, name: str) -> str:
    return element.findtext(name) or ""


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
