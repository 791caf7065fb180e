"""The web console: files that were built from ``console/`` and are served below ``/console``, to anybody.

Assets have a hash of their content in their names and never change; every other path is a page of the console and gets the index,
so that a link into it works (HTML is sent there and at ``/`` only).
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

from msgspec import Struct

from doorward.listening.http.fields import standing_fields

ROOT: Final = "/console"
_INDEX: Final = "index.html"
_REPLAY: Final = "replay.html"
_TYPES: Final[Mapping[str, str]] = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}
"""Media types by the endings of names; nothing else is served."""
_PACKED: Final = frozenset({"woff2"})
"""What does not become smaller."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""The Content-Security-Policy of the console."""
_REPLAY_POLICY: Final = POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'").partition("; require-")[0]
"""That of the page of the player, whose terminal is WebAssembly and which does not know Trusted Types."""
_PAGE: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)


class ConsoleFile(Struct, frozen=True):
    """A file as it is sent. ``packed``: by gzip; empty where that does not help."""

    kind: str
    etag: str
    plain: bytes
    packed: bytes
    is_asset: bool


def _read() -> dict[str, ConsoleFile]:
    """Return what was built, by the paths below the root. Takes a moment."""
    found: dict[str, ConsoleFile] = {}
    folder = files("doorward") / "console"
    for path, entry in [
        *((entry.name, entry) for entry in folder.iterdir()),
        *((f"assets/{entry.name}", entry) for entry in (folder / "assets").iterdir()),
    ]:
        ending = path.rpartition(".")[2]
        if ending in _TYPES:
            plain = entry.read_bytes()
            packed = b"" if ending in _PACKED else gzip.compress(plain, 6, mtime=0)
            etag = f'"{hashlib.sha256(plain).hexdigest()[:32]}"'
            found[path] = ConsoleFile(_TYPES[ending], etag, plain, packed, path.startswith("assets/"))
    return found


class Front:
    """The console, and behind it the application, which gets everything else.

    The files are read when somebody first asks for one. ``prepare`` is called in a thread then: it makes ready what a browser
    asks for next, and takes a while.
    """

    def __init__(self, app: Any, prepare: Callable[[], None]) -> None:
        self._app, self._prepare = app, prepare
        self._lock = threading.Lock()
        self._files: dict[str, ConsoleFile] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one HTTP request."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or not (path == ROOT or path.startswith(f"{ROOT}/")):
            await self._app(scope, receive, send)
            return
        found = (self._files or await asyncio.to_thread(self._load)).get(self._name(path))
        if found is None:
            await self._app(scope, receive, send)
            return
        await _send(found, self._name(path), scope, send)

    def _load(self) -> dict[str, ConsoleFile]:
        with self._lock:
            if not self._files:
                self._files = _read()
                threading.Thread(target=self._prepare, name="console-prepare", daemon=True).start()
            return self._files

    @staticmethod
    def _name(path: str) -> str:
        below = path[len(ROOT) + 1 :]
        return below if below.startswith("assets/") or below == _REPLAY else _INDEX


async def _send(file: ConsoleFile, name: str, scope: Any, send: Any) -> None:
    fields = [field for field in standing_fields(os.urandom(16).hex(), int(time.time())) if field[0] != b"cache-control"]
    asked = {key: value for key, value in scope["headers"] if key in {b"accept-encoding", b"if-none-match"}}
    body = file.packed if file.packed and b"gzip" in asked.get(b"accept-encoding", b"") else file.plain
    fields += [
        *_PAGE,
        (b"cache-control", b"public, max-age=31536000, immutable" if file.is_asset else b"no-cache"),
        (b"content-security-policy", (_REPLAY_POLICY if name == _REPLAY else POLICY).encode()),
        (b"etag", file.etag.encode()),
        (b"vary", b"Accept-Encoding"),
    ]
    status = 200
    if scope["method"] not in {"GET", "HEAD"}:
        status, body = 405, b""
        fields.append((b"allow", b"GET, HEAD"))
    elif asked.get(b"if-none-match", b"").decode("latin-1") == file.etag:
        status, body = 304, b""
    else:
        fields.append((b"content-type", file.kind.encode()))
        if body is file.packed:
            fields.append((b"content-encoding", b"gzip"))
    if status != 304:  # noqa: PLR2004 - HTTP's number
        fields.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
