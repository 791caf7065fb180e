"""A clock that is set by hand, a target in memory, an archive that is only bytes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from doorward.backup.archive import Prepared
from doorward.backup.failure import BackupError, Check
from doorward.backup.records import Drill
from doorward.backup.targets.limits import MAX_ARCHIVE, MAX_MANIFEST
from doorward.backup.targets.port import Target, TargetFile

NODE = "46f97a58-4028-467d-9a22-9cfe78ae3e1c"


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def ahead(self, **by: float) -> None:
        self.now += timedelta(**by)


class MemoryTarget:
    """A target whose files are a dictionary: content and time by name. ``calls`` says in which order it was used."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.content: dict[str, bytes] = {}
        self.times: dict[str, float] = {}
        self.calls: list[tuple[str, str]] = []
        self.leftovers: list[TargetFile] = []

    def prepare(self) -> None:
        self.calls.append(("prepare", ""))

    def names(self) -> list[TargetFile]:
        return [TargetFile(name, len(data), self.times.get(name)) for name, data in self.content.items()]

    def put(self, name: str, content: Path) -> None:
        self.calls.append(("put", name))
        data = content.read_bytes()
        if self.content.get(name, data) != data:
            raise BackupError("name_exists", "There is another file of that name.")
        self.content[name] = data
        self.times[name] = self.clock().timestamp()

    def fetch(self, name: str, into: Path, most: int = MAX_ARCHIVE) -> None:
        self.calls.append(("fetch", name))
        if name not in self.content:
            raise BackupError("no_such_path", "There is no file of that name.")
        if len(self.content[name]) > most:
            raise BackupError("verify_failed", "There is more than was written.")
        into.write_bytes(self.content[name])

    def fetch_all(self, names: Sequence[str], into: Path, most: int = MAX_MANIFEST) -> None:
        self.calls.append(("fetch_all", " ".join(names)))
        for name in names:
            if name in self.content:
                assert len(self.content[name]) <= most
                (into / name).write_bytes(self.content[name])

    def delete(self, name: str) -> None:
        self.calls.append(("delete", name))
        self.content.pop(name, None)

    def partial(self) -> list[TargetFile]:
        return self.leftovers

    def close(self) -> None:
        self.calls.append(("close", ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()


class FakeParts:
    """The parts of a run. ``trouble`` is called with the name of each part and may raise."""

    def __init__(self, target: MemoryTarget, trouble: Callable[[str], None] = lambda _part: None) -> None:
        self.target, self.trouble = target, trouble
        self.made = 0
        self.used: list[str] = []

    def _use(self, part: str) -> None:
        self.used.append(part)
        self.trouble(part)

    def prepare(self, spool: Path, check: Check) -> Prepared:
        self._use("prepare")
        check()
        self.made += 1
        name = f"doorward-20261121T12000{self.made}Z-{NODE[:8]}.config"
        data = f"archive {self.made}".encode()
        archive, manifest = spool / name, spool / f"{name}.manifest"
        archive.write_bytes(data)
        manifest.write_bytes(b"manifest")
        revision = {"hash": "ab", "number": 3}
        digest = hashlib.sha256(data).hexdigest()
        return Prepared(name, archive, manifest, len(data), digest, encrypted=False, revision=revision, paths=("a", "b", "c"))

    def connect(self, policy: Mapping[str, Any], stop: threading.Event, workdir: Path, seconds: float) -> Target:
        assert workdir.is_dir()
        assert seconds > 0
        self._use("connect")
        return self.target

    def drill(self, target: Target, prepared: Prepared, drill: Drill, workdir: Path) -> Drill:
        from msgspec.structs import replace

        self._use("drill")
        stored = self.target.content[prepared.name] == prepared.archive.read_bytes()
        levels = {**drill.levels, "stored": {"basis": "target", "passed": stored}}
        if stored:
            return replace(drill, levels=levels, result="passed")
        return replace(drill, levels=levels, result="failed", code="drill_failed", message="The digest differs.")

    def clean_up(self, target: Target, policy: Mapping[str, Any], workdir: Path) -> None:
        self._use("clean_up")

    def withdraw(self, target: Target, prepared: Prepared, workdir: Path) -> None:
        self._use("withdraw")
