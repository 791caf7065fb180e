"""The small files by which a target is tried: signed, so that one that a killed process left is known again (section 5)."""

from __future__ import annotations

import os
import re
import tempfile
import uuid
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from doorward.backup.failure import BackupError
from doorward.backup.signing import NodeSigningKeys, WrongSignatureError, verify
from doorward.backup.targets.port import Target, TargetFile
from doorward.tree.jsontext import decode, encode
from doorward.tree.problems import InvalidBody

log = structlog.get_logger()

PREFIX = ".doorward-probe-"
OLD = timedelta(hours=1)
"""How old a probe must be to go: a younger one may belong to a check that still runs."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_RANDOM_BYTES, _MAX_BYTES = 1792, 8192


class Probes:
    """Makes the probes of a node, and knows them again."""

    def __init__(self, signing: NodeSigningKeys) -> None:
        self._signing = signing

    def new(self) -> tuple[str, bytes]:
        """Return name and content of a new probe, about 4 KiB."""
        name = f"{PREFIX}{uuid.uuid4()}"
        told = {"probe": name, "random": os.urandom(_RANDOM_BYTES).hex()}
        return name, encode({"signature": self._signing.sign(encode(told)), "told": told})

    def is_ours(self, name: str, content: bytes) -> bool:
        """Whether this node made a probe, under this very name."""
        try:
            value = decode(content)
            return value["told"]["probe"] == name and self._signing.is_own(verify(encode(value["told"]), value["signature"]))
        except (InvalidBody, KeyError, TypeError, WrongSignatureError):
            return False

    def sweep(self, target: Target, entries: list[TargetFile], workdir: Path, now: datetime) -> None:
        """Delete those of some files on a target that are old probes of this node. What fails is left for the next time."""
        oldest = (now - OLD).timestamp()
        for entry in entries:
            if is_probe(entry.name) and entry.size <= _MAX_BYTES and entry.modified is not None and entry.modified < oldest:
                try:
                    with tempfile.TemporaryDirectory(prefix="old-probe-", dir=workdir) as directory:
                        path = Path(directory, "content")
                        target.fetch(entry.name, path, _MAX_BYTES)
                        ours = self.is_ours(entry.name, path.read_bytes())
                    if ours:
                        target.delete(entry.name)
                        log.info("left-over of a check deleted", file=entry.name)
                except BackupError as failure:
                    log.warning("a left-over of a check stays", file=entry.name, code=failure.code, message=failure.message)


def is_probe(name: str) -> bool:
    """Whether a file has the name of a probe."""
    return name.startswith(PREFIX) and _UUID.fullmatch(name.removeprefix(PREFIX)) is not None
