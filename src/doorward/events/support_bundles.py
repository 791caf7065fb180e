"""Support bundles: what support needs to see of a node, in one archive without secrets.

A bundle is made in a thread, one at a time, kept as a file in the state directory and gone after 24 hours or a restart. It holds
what its maker may read, and is for those who may read as much: it is no way around the rights.
"""

from __future__ import annotations

import asyncio
import io
import os
import platform
import shutil
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from msgspec.structs import asdict

from doorward import SPS_LEVEL, __version__
from doorward.access.rights import Allowed, Rights, always
from doorward.access.sight import CHANGELOG, Sight
from doorward.areas.threads import HEAVY, StoppedError
from doorward.store.database import is_full, reason
from doorward.transaction.pipeline import Pipeline
from doorward.transaction.startup import documents
from doorward.tree.jsontext import encode
from doorward.tree.nodes import WriteOnce
from doorward.tree.places import Place

log = structlog.get_logger()

_KEEP_SECONDS = 24 * 3600
_MAX_BUNDLES = 20
"""Bundles that are kept; older ones go."""
_HISTORY = 500
_ROOM_BYTES = 1 << 20
"""What is taken of the disk before a bundle is begun, so that a full one is told of at once; most bundles are smaller."""


@dataclass(eq=False)
class Bundle:
    """One bundle. ``status``: queued, running, finished, failed or cancelled."""

    path: Path
    rights: Rights
    """Of its maker."""
    is_allowed: Allowed = always
    """Whether its maker may still have one."""
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "queued"
    code: str | None = None
    """Why it failed, where there is a word for that."""
    made: float = field(default_factory=time.monotonic)

    @property
    def body(self) -> dict[str, str]:
        """What is shown of it."""
        return {"status": self.status, **({"code": self.code} if self.code else {})}

    @property
    def part(self) -> Path:
        """Where it lies while it is made."""
        return self.path.with_suffix(".part")


class BundleRunningError(Exception):
    """Another bundle, ``key``, is not finished yet."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


class Bundles:
    """Makes bundles. ``health`` returns the figures of ``health_status``; it blocks."""

    def __init__(self, directory: Path, pipeline: Pipeline, health: Callable[[], dict[str, Any]]) -> None:
        self._directory, self._pipeline, self._health = directory, pipeline, health
        self._bundles: dict[str, Bundle] = {}
        self._running: asyncio.Task[None] | None = None
        shutil.rmtree(directory, ignore_errors=True)  # of an earlier run: nobody knows their keys any more

    def all(self) -> list[Bundle]:
        """Return the bundles, oldest first; those that are too old go."""
        for bundle in list(self._bundles.values()):
            if time.monotonic() - bundle.made > _KEEP_SECONDS:
                self.remove(bundle)
        return list(self._bundles.values())

    async def begin(self, rights: Rights, is_allowed: Allowed = always) -> Bundle:
        """Start to make a bundle for somebody with these rights. Raises BundleRunningError, and OSError without space.

        It is cancelled unless its maker still may have one when it is made.
        """
        for other in self.all():
            if other.status in {"queued", "running"}:
                raise BundleRunningError(other.key)
        for old in self.all()[: 1 - _MAX_BUNDLES]:
            self.remove(old)
        bundle = Bundle(self._directory, rights, is_allowed)
        bundle.path = self._directory / f"{bundle.key}.tar.gz"
        self._bundles[bundle.key] = bundle
        try:
            await asyncio.to_thread(_take_room, bundle.part)
        except BaseException:
            self.remove(bundle)
            raise
        self._running = asyncio.ensure_future(self._make(bundle))
        return bundle

    async def _make(self, bundle: Bundle) -> None:
        bundle.status = "running"
        asyncio.get_running_loop().call_later(_KEEP_SECONDS + 1, self.all)  # nobody may come to ask for them
        try:
            await HEAVY.run("", self._write, bundle.path, bundle.part, bundle.rights)  # one at a time already
        except StoppedError:
            return
        except Exception as error:
            if is_full(error):
                bundle.code = "no_local_space"
                log.error("a support bundle could not be made", reason=reason(error))
            else:
                log.exception("a support bundle could not be made")
            bundle.status = "failed"
            return
        bundle.status = "finished" if bundle.is_allowed() else "cancelled"
        if bundle.status == "cancelled" or bundle.key not in self._bundles:
            bundle.path.unlink(missing_ok=True)

    def get(self, key: str) -> Bundle | None:
        """Return a bundle that is there."""
        return next((bundle for bundle in self.all() if bundle.key == key), None)

    def remove(self, bundle: Bundle) -> None:
        """Forget a bundle, finished or not."""
        self._bundles.pop(bundle.key, None)
        bundle.path.unlink(missing_ok=True)
        bundle.part.unlink(missing_ok=True)

    def _write(self, path: Path, part: Path, rights: Rights) -> None:
        try:
            with part.open("r+b") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
                for name, found in self._contents(rights).items():
                    data = encode(_told(name, found))
                    member = tarfile.TarInfo(f"support-bundle/{name}.json")
                    member.size, member.mtime = len(data), int(time.time())
                    archive.addfile(member, io.BytesIO(data))
                archive.close()
                file.truncate()
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)

    def _contents(self, rights: Rights) -> dict[str, Callable[[], Any]]:
        from importlib.metadata import distributions

        pipeline = self._pipeline
        running, store = pipeline.running, pipeline.store
        history = _HISTORY if rights.may_read(CHANGELOG, "") else 0
        sight = Sight(pipeline.tree, rights, running.snapshot)
        readable = [(place, document) for place, _, document in documents(running.snapshot) if self._readable(place, rights)]
        hidden = sum(1 for _ in documents(running.snapshot)) - len(readable)

        def commits() -> Iterator[dict[str, Any]]:
            for record in store.commit_records(history):
                shown = asdict(record) | {"error": sight.error(record.error)}
                yield sight.members(shown, "warnings")

        return {
            "about": lambda: {
                "doorward": __version__,
                **({"hidden": {"configuration": hidden}} if hidden else {}),
                "level": SPS_LEVEL,
                "machine": platform.platform(),
                "packages": {found.metadata["Name"]: found.version for found in distributions()},
                "python": platform.python_version(),
                "revision": running.number,
            },
            "commits": lambda: list(commits()),
            "configuration": lambda: {place.href: document.value for place, document in readable},
            "health_status": self._health,
            "revisions": lambda: [asdict(revision) for revision in store.revisions(limit=history)],
            "time_status": lambda: pipeline.host.time_status().as_dict(),
        }

    def _readable(self, place: Place, rights: Rights) -> bool:
        endpoint = self._pipeline.tree[place.path]
        secret = isinstance(endpoint.node, WriteOnce)
        return rights.everything or (not secret and rights.may_read(endpoint.privilege, place.href))


def _told(name: str, found: Callable[[], Any]) -> Any:
    """Return what a file of the bundle says; on a node that is broken, why it can't be said."""
    try:
        return found()
    except Exception as error:
        log.exception("a part of a support bundle could not be made", part=name)
        return {"error": f"{type(error).__name__}: {error}"}


def _take_room(part: Path) -> None:
    """Make the file of a bundle, with room on the disk. Raises OSError."""
    part.parent.mkdir(mode=0o700, exist_ok=True)
    with open(part, "xb", opener=partial(os.open, mode=0o600)) as file:
        os.posix_fallocate(file.fileno(), 0, _ROOM_BYTES)
