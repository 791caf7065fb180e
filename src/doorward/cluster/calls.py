"""One call of the node channel: its path, query and body, read within limits, and its answer."""

from __future__ import annotations

import gzip
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from doorward.cluster.pins import PinnedPeer

PREFIX = "/cluster/v1/"
MAX_WAIT = 25

_WORTH_GZIP = 1024
_GZIP = {"content-encoding": "gzip"}
_CHUNK = 256 << 10
_MAX_DIGITS = 15
_MAX_ADDRESSES = 4096

T = TypeVar("T")


class CallRefusedError(Exception):
    """A call that is refused: HTTP status, a code, for example ``role``, and a sentence for people."""

    def __init__(self, status: int, code: str, message: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class GoneError(Exception):
    """The client went away before its request was whole."""


class Since(Struct, frozen=True):
    """The cluster revision that a node has."""

    epoch: int
    number: int


class Call:
    """A request. ``peer`` is who makes it, once known; with ``close`` the connection ends after the answer."""

    def __init__(self, scope: Any, receive: Any) -> None:
        self._scope, self._receive = scope, receive
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self.certificate: bytes | None = scope["peer"]
        self.ending: Callable[[], bool] = scope["ending"]
        self.address: str = scope["client"][0]
        self.path: str = scope["path"].removeprefix(PREFIX)
        self.peer: PinnedPeer | None = None
        self.close = self.certificate is None
        self.begun = False
        """Whether an answer is under way."""

    @property
    def gzip(self) -> bool:
        """Whether the answer may be compressed."""
        return b"gzip" in self._headers.get(b"accept-encoding", b"")

    def only(self, method: str) -> None:
        """Refuse every other method. Raises CallRefusedError."""
        if self._scope["method"] != method:
            raise CallRefusedError(405, "method_not_allowed", headers={"allow": method})

    def since(self) -> tuple[Since | None, int]:
        """Return the revision that the caller has and the seconds that it waits for a newer one. Raises CallRefusedError."""
        try:
            query = dict(parse_qsl(self._scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=8))
            numbers = {name: _number(text) for name, text in query.items() if name in {"epoch", "number", "wait"}}
        except ValueError:
            raise CallRefusedError(400, "format", "epoch, number and wait are whole numbers.") from None
        wait = numbers.get("wait", 0)
        if wait > MAX_WAIT or ("epoch" in numbers) != ("number" in numbers):
            raise CallRefusedError(400, "format", f"wait is at most {MAX_WAIT}; epoch and number go together.")
        return (Since(numbers["epoch"], numbers["number"]) if "epoch" in numbers else None), wait

    async def body(self, limit: int) -> bytes:
        """Return the body. Raises Refused where it has more bytes than the limit, or Gone."""
        self.close = True  # what is left unread of a refused body must not be taken for the next request
        length = self._headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:_MAX_DIGITS]) > limit:
            raise CallRefusedError(413, "too_large", f"At most {limit} bytes.")
        data = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            data += message["body"]
            if len(data) > limit:
                raise CallRefusedError(413, "too_large", f"At most {limit} bytes.")
            if not message["more_body"]:
                self.close = self.certificate is None
                return bytes(data)

    async def left(self) -> None:
        """Return when the client goes away; to be waited for once the body was read, or where there is none."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, send: Any, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Send the answer, in pieces, so that a slow reader is seen to be slow."""
        self.begun = True
        fields = {"cache-control": "no-store", **({"content-type": "application/json"} if body else {}), **headers}
        if status != 204:  # noqa: PLR2004 - HTTP's number
            fields["content-length"] = str(len(body))
        if self.close:
            fields["connection"] = "close"
        encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        for at in range(0, max(len(body), 1), _CHUNK):
            piece = {"body": body[at : at + _CHUNK], "more_body": at + _CHUNK < len(body)}
            await send({"type": "http.response.body", **piece})


class EncodedAnswer:
    """A good answer that is encoded already, for many who ask the same."""

    def __init__(self, compressed: bytes) -> None:
        self.compressed = compressed
        """JSON, by gzip."""

    @classmethod
    def of(cls, value: Any) -> EncodedAnswer:
        """Encode a value."""
        return cls(gzip.compress(msgspec.json.encode(value), 5, mtime=0))


def packed(value: Any, compress: bool) -> tuple[int, bytes, dict[str, str]]:  # noqa: FBT001 - called by position in a thread
    """Return status, body and header fields of a good answer; None is 204, bytes are sent as they are."""
    if value is None:
        return 204, b"", {}
    if isinstance(value, bytes):
        return 200, value, {"content-type": "application/octet-stream"}
    if isinstance(value, EncodedAnswer):
        return (200, value.compressed, _GZIP) if compress else (200, gzip.decompress(value.compressed), {})
    body = msgspec.json.encode(value)
    if not compress or len(body) < _WORTH_GZIP:
        return 200, body, {}
    return 200, gzip.compress(body, 5, mtime=0), _GZIP


def decoded(body: bytes, kind: type[T]) -> T:
    """Return a body as a value of a type. Raises Refused."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise CallRefusedError(400, "format", "Not the JSON that belongs here.") from error


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise ValueError(text)
    return int(text)


class Rate:
    """Lets through so many attempts of one source within so many seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def admit(self, address: str, now: float | None = None) -> bool:
        """Count an attempt; False, and not counted, where there were too many."""
        now = time.monotonic() if now is None else now
        times = self._times.setdefault(address, deque())
        self._times.move_to_end(address)
        while len(self._times) > _MAX_ADDRESSES:
            self._times.popitem(last=False)
        while times and times[0] <= now - self._seconds:
            times.popleft()
        if len(times) >= self._most:
            return False
        times.append(now)
        return True
