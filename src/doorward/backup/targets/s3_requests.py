"""Requests to a server with buckets, signed, and what its answers mean. Part of the process of ``s3_child``.

TLS always; no redirect is followed.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import httpx2
from requests_aws4auth import AWS4Auth

from doorward.backup.targets import calls
from doorward.backup.targets.calls import TargetRefusedError
from doorward.host.tls import client_context

_CHUNK = 256 * 1024
_MAX_ANSWER, _MAX_WORDS = 4 << 20, 200
"""Bytes of an answer that is no object: a list has at most 1,000 entries. Characters of a server's own words."""
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


class S3Requests:
    """A connection to the bucket of a server. Refusals are ``TargetRefusedError``."""

    def __init__(self, target: Mapping[str, Any], secret: str, authority: str | None, seconds: float) -> None:
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

    def close(self) -> None:
        """Let go of the server."""
        self._client.close()

    def chunks(self, key: str, most: int) -> Iterator[bytes]:
        """Yield an object of so many bytes at most. Raises TargetRefusedError."""
        count = 0
        with _asking(), self._sent("GET", key, {}, {}, b"") as answer:
            if answer.status_code != httpx2.codes.OK:
                refuse(answer, _whole(answer))
            for chunk in answer.iter_raw(_CHUNK):
                count += len(chunk)
                if count > most:
                    raise TargetRefusedError("verify_failed", "the server sends more than was ever written there")
                calls.moved(count)
                yield chunk

    def ask(
        self, method: str, key: str, query: dict[str, str] | None = None, *,
        headers: dict[str, str] | None = None, content: bytes = b"",
    ) -> httpx2.Response:  # fmt: skip
        """Ask for something whose answer is short."""
        with _asking(), self._sent(method, key, query or {}, headers or {}, content) as answer:
            body = _whole(answer)
            if not answer.is_success:
                refuse(answer, body)
            answer.extensions["whole"] = body
            return answer

    @contextmanager
    def _sent(
        self, method: str, key: str, query: dict[str, str], headers: dict[str, str], content: bytes
    ) -> Iterator[httpx2.Response]:
        """Sign and send a request; the answer comes as it is read."""
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

    @staticmethod
    def xml(answer: httpx2.Response) -> ET.Element:
        """Return what a short answer says. Raises TargetRefusedError."""
        try:
            return _parsed(answer.extensions["whole"])
        except (ET.ParseError, ValueError):
            raise TargetRefusedError("protocol_unavailable", "the answer is none of S3") from None


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


def refuse(answer: httpx2.Response, body: bytes) -> NoReturn:
    """Raise what an answer means that is no success."""
    if answer.is_redirect:
        region = answer.headers.get("x-amz-bucket-region")
        raise TargetRefusedError(
            "protocol_unavailable", "the server sends us elsewhere" + (f"; region {region}" if region else "")
        )
    try:
        found = _parsed(body)
        code, words = text_of(found, "Code"), text_of(found, "Message")
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


def text_of(element: ET.Element, name: str) -> str:
    """Return the text of a part; empty where there is none."""
    return element.findtext(name) or ""
