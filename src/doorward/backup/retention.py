"""Which files on the target go: old pairs that are provably ours, and what broken runs of ours left (sections 5 and 7)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from msgspec import Struct

from doorward.backup.names import MANIFEST, parse
from doorward.backup.targets.port import Target, TargetFile
from doorward.backup.targets.probes import Probes, is_probe
from doorward.tree.times import believed

log = structlog.get_logger()

_DAY = timedelta(days=1)
LEFTOVER = timedelta(hours=24)
"""How old a temporary file must be: a younger one may belong to an upload that still runs."""


class Pair(Struct, frozen=True):
    """An archive on the target that has its manifest beside it."""

    name: str
    created: datetime
    manifest: TargetFile


def pairs(entries: Iterable[TargetFile], node: str) -> list[Pair]:
    """Return the pairs that carry the id of a node in their name, newest first."""
    found = {entry.name: entry for entry in entries}
    named = [(name, parse(name)) for name in found]
    own = [
        Pair(name, parsed.created, found[name + MANIFEST])
        for name, parsed in named
        if parsed is not None and parsed.node == node[:8] and name + MANIFEST in found
    ]
    return sorted(own, key=lambda pair: (pair.created, pair.name), reverse=True)


def present(found: Iterable[Pair], now: datetime) -> datetime:
    """Return the time by which files are old; a clock that was stepped ahead has to stand for a day. ``found``: newest first."""
    before = next((pair.created for pair in found if pair.created <= now - _DAY), now)
    return believed(now, before)


def expired(
    found: list[Pair], retention: Mapping[str, Any], ours: Callable[[list[Pair]], Collection[str]], now: datetime
) -> list[Pair]:  # fmt: skip
    """Return the pairs to delete, oldest first. ``found``: newest first; ``ours`` looks at signatures and returns names.

    A pair goes when it is ours, not among the newest ``keep_last`` of ours, and older than ``keep_days``.
    """
    if not retention["enabled"]:
        return []
    keep_last: int = retention["keep_last"]
    before = now - timedelta(days=retention["keep_days"])
    if len(found) <= keep_last or found[-1].created >= before:
        return []
    own = ours(found)
    named = [pair for pair in found if pair.name in own]
    return [pair for pair in named[keep_last:] if pair.created < before][::-1]


def delete(target: Target, gone: Iterable[Pair]) -> None:
    """Delete pairs, each by its two names: the archive first, since an archive without manifest is no backup."""
    for pair in gone:
        target.delete(pair.name)
        target.delete(pair.name + MANIFEST)
        log.info("old backup deleted", file=pair.name)


class Orphans(Struct, frozen=True):
    """What a broken run of a node left under final names: archives without manifest, and manifests without archive."""

    archives: list[TargetFile]
    manifests: list[TargetFile]


def orphans(entries: Iterable[TargetFile], node: str, now: datetime) -> Orphans:
    """Return the files of a node that lack their other half, by their names, and are a day old.

    A younger one may belong to an upload that still runs.
    """
    found = {entry.name: entry for entry in entries}
    alone = Orphans([], [])
    for name, entry in found.items():
        parsed = parse(name.removesuffix(MANIFEST))
        if parsed is None or parsed.node != node[:8] or parsed.created > now - LEFTOVER:
            continue
        if name == parsed.name and name + MANIFEST not in found:
            alone.archives.append(entry)
        elif name != parsed.name and parsed.name not in found:
            alone.manifests.append(entry)
    return alone


def sweep(target: Target, now: datetime, probes: Probes, workdir: Path) -> None:
    """Delete temporary files of ours that are a day old, and probes of ours that are old."""
    left = target.partial()
    probes.sweep(target, left, workdir, now)
    for entry in left:
        if is_probe(entry.name):
            continue
        if entry.modified is not None and entry.modified < (now - LEFTOVER).timestamp():
            target.delete(entry.name)
            log.info("left-over of an upload deleted", file=entry.name)
