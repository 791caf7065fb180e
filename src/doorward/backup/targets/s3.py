"""Target ``s3``: objects in a bucket (amendment 23), keys ``<prefix>/[<node id>/]config/<name>``.

There is nothing to make above a name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

from doorward.backup.targets.attempt import Secret, TargetAttempt, checked
from doorward.backup.targets.child import ConfinedChild, opened_here
from doorward.backup.targets.directory import TargetDirectory
from doorward.backup.targets.limits import MAX_ARCHIVE
from doorward.backup.targets.port import TargetFile, bounded
from doorward.backup.targets.probes import is_probe
from doorward.backup.targets.s3_objects import S3Objects, digest_of, started


def opened(target: Mapping[str, Any], secret: Secret, attempt: TargetAttempt) -> S3Directory:
    """Log in and see that the bucket is there and does what the policy wants of it."""
    made = S3Directory(started(target, secret, attempt), target, attempt)
    try:
        made.log_in()
    except BaseException:
        made.close()
        raise
    return made


class S3Directory(S3Objects, TargetDirectory):
    """The objects of a bucket whose keys begin alike."""

    def __init__(self, child: ConfinedChild, target: Mapping[str, Any], attempt: TargetAttempt) -> None:
        super().__init__(child, target, attempt, attempt.directories)

    def prepare(self) -> None:
        """Do nothing: there are no directories."""

    @override
    def names(self) -> list[TargetFile]:
        """List ``config``."""
        doing = "Listing the files"
        with self.asking(doing):
            found = (TargetFile(*entry) for entry in self._child.call(doing, "entries", self.root))
            return bounded(self._attempt, doing, found)

    def put(self, name: str, content: Path) -> None:
        """Write a file; a probe also finds out whether the server writes over what is there, and is not locked."""
        doing, key = f"Writing {checked(name)}", self.root + name
        with self.asking(doing), opened_here(content, "rb") as file:
            size, digest = os.fstat(file.fileno()).st_size, digest_of(file)
            if not is_probe(name):
                self.store(doing, key, file, size, digest)
                return
            if not self.written(doing, key, file, size, None):
                raise self._attempt.failed("name_exists", doing, "there was another file of that name")
            if self.written(doing, key, file, size, None):
                words = "the server writes over what is there (If-None-Match)"
                raise self._attempt.failed("protocol_unavailable", doing, words)
            self.check_written(doing, key, size, None)

    @override
    def fetch(self, name: str, into: Path, most: int = MAX_ARCHIVE) -> None:
        """Read a file."""
        self.read(f"Reading {checked(name)}", self.root + name, into, most)

    def delete(self, name: str) -> None:
        """Delete a file."""
        self.remove(f"Deleting {checked(name)}", self.root + name)
