"""Sessions as control would tell of them, and trails as a worker would have written them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from doorward.recording.keys import ContentKeys, in_clear, wrapped
from doorward.recording.records import Record, RecordKind, encode_json, varint
from doorward.recording.seals import Seal
from doorward.recording.terminal import AvtTerminal
from doorward.recording.writer import TrailWriter
from doorward.sessions.catalogue.port import SessionCatalogue
from doorward.sessions.catalogue.rows import ACCEPT, ChannelRow, EventRow, Facts, IndexLine, Peer, SessionEnd, SessionRow

BEGAN = 1_795_946_400_000
"""2026-11-29T10:00:00Z in ms."""
LINUX, ORACLE = "8235074425707e306abf39", "78101850949e47437dd91d"
"""Keys of two connection policies."""


def key_of(number: int) -> str:
    return f"s{number:021d}"


def row(number: int = 1, **changes: Any) -> SessionRow:
    made: dict[str, Any] = {
        "key": key_of(number),
        "number": number,
        "began": BEGAN + number * 1000,
        "node": "6fed7872-065e-41d2-9cfa-ba75e8cad901",
        "policy": "linux",
        "policy_key": LINUX,
        "channel_policy": "shell-only",
        "client": Peer("192.0.2.7", 50_000 + number),
        "target": Peer("198.51.100.1", 2222),
    }
    return SessionRow(**{**made, **changes})


FACTS = Facts(
    gateway_user="jane",
    gateway_groups=("dba",),
    server_user="root",
    server=Peer("10.1.2.3", 22, "db1.example.com"),
    server_local=Peer("10.1.2.1", 40_000),
    auth_method="password",
)


async def told(
    catalogue: SessionCatalogue,
    session: SessionRow,
    facts: Facts = FACTS,
    lines: Sequence[str] = ("$ ls", "notes.txt"),
    commands: Sequence[str] = ("ls",),
    end: SessionEnd | None = SessionEnd(at=57_000, verdict=ACCEPT, reason="", down=1000, up=50),  # noqa: B008 - frozen
) -> None:
    """Tell a catalogue of a session: a shell with some lines, and a refused forward."""
    key = session.key
    await catalogue.begin(session)
    await catalogue.update(key, facts)
    await catalogue.channel_opened(key, ChannelRow(number=1, opened=500, type="session-shell", verdict="accept", rule=0))
    await catalogue.text(key, 1, [IndexLine(1000 + at, "screen", line) for at, line in enumerate(lines)])
    await catalogue.text(key, 1, [IndexLine(1000 + at, "command", line) for at, line in enumerate(commands)])
    await catalogue.event(key, EventRow(at=2000, type="channel_denied", channel=2, action="local-forwards"))
    await catalogue.channel_closed(key, 1, 56_000, 1000, 50)
    if end is not None:
        await catalogue.end(key, end)


def tell(catalogue: SessionCatalogue, *sessions: SessionRow, **more: Any) -> None:
    async def all_of_them() -> None:
        for session in sessions:
            await told(catalogue, session, **more)
        await catalogue.synced()

    asyncio.run(all_of_them())


def trail(
    records: Iterable[Record], certificates: Sequence[str] = (), sealed: Callable[[int, bytes], Iterable[Seal]] | None = None
) -> bytes:
    """A trail, with keyframes; encrypted to certificates, if any. ``sealed``: seals by number and chain of the last frame."""
    keys, terminal = ContentKeys.fresh(), AvtTerminal(80, 24)
    assert keys.screen is not None
    assert keys.keystrokes is not None
    block = (lambda key: wrapped(key, certificates)) if certificates else in_clear
    blocks = {"screen": block(keys.screen), "keystrokes": block(keys.keystrokes)}
    header = {"session": "svc/x/linux:1", "started": "2026-11-29T10:00:00Z"}
    made = TrailWriter(header, blocks, keys, lambda: [(1, terminal.drawing())])
    parts, last = [made.head], 0
    for record in records:
        parts.extend(made.write(record))
        parts.extend(made.flush())
        last = record.at
        if record.kind is RecordKind.OUTPUT:
            terminal.feed(record.data)
    parts.extend(made.note(seal.as_note()) for seal in (sealed(made.frames, made.chain) if sealed else ()))
    parts.extend(made.close({"reason": "client", "verdict": ACCEPT}, last))
    return b"".join(parts)


def shell(seconds: int = 90) -> list[Record]:
    """A shell that counts its seconds, and a file that was copied and kept."""
    request = {"columns": 80, "rows": 24, "term": "xterm", "type": "pty-req"}
    kept = {"file": 1, "operation": "get", "path": "/tmp/../etc/pass\x1bwd", "result": "ok", "sha256": "ab" * 32, "size": 6}
    records = [
        Record(0, RecordKind.OPEN, 1, encode_json({"type": "session-shell"})),
        Record(0, RecordKind.REQUEST, 1, encode_json(request)),
    ]
    records += [Record(at * 1000 + 500, RecordKind.OUTPUT, 1, b"\r\nsecond %d" % at) for at in range(seconds)]
    last = seconds * 1000
    return [
        *records,
        Record(last, RecordKind.INPUT, 1, b"secret typing"),
        Record(last, RecordKind.FILE_CONTENT, 1, varint(1) + b"abc"),
        Record(last, RecordKind.FILE_CONTENT, 1, varint(1) + b"def"),
        Record(last, RecordKind.FILE, 1, encode_json(kept)),
        Record(last, RecordKind.FILE, 1, encode_json({"operation": "remove", "path": "/tmp/x", "result": "ok"})),
    ]


def put_trail(directory: Path, key: str, data: bytes) -> str:
    """Put a trail where a node looks for it; return its path there."""
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"{key}.dwr"
    path.write_bytes(data)
    path.chmod(0o600)
    return path.name
