"""Target ``s3``: objects in a bucket (amendment 23), by a child process that talks to the server.

An object appears whole or not at all, and only where the key is free (``If-None-Match: *``): there are no temporary names. Keys
are ``<prefix>/[<node id>/]config/<name>``; there is nothing to make above a name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

from doorward.backup.failure import BackupError
from doorward.backup.targets.attempt import Secret, TargetAttempt, checked, reach
from doorward.backup.targets.child import ConfinedChild, opened_here
from doorward.backup.targets.directory import DrivenDirectory
from doorward.backup.targets.limits import MAX_ARCHIVE
from doorward.backup.targets.port import TargetFile, bounded
from doorward.backup.targets.probes import is_probe

_CHILD = "doorward.backup.targets.s3_child"
_HTTPS = 443
_GRACE_SECONDS = 5.0
"""What the child gets beyond the time limit; it rather ends by being killed."""
_SECOND = 1.0


def opened(target: Mapping[str, Any], secret: Secret, attempt: TargetAttempt) -> S3Directory:
    """Log in and see that the bucket is there and does what the policy wants of it."""
    known, authority = _credentials(target, secret, attempt)
    place = urlsplit(str(target["endpoint"]))
    host = str(place.hostname)
    reach(attempt, host if target["path_style"] else f"{target['bucket']}.{host}", place.port or _HTTPS)
    child = ConfinedChild(attempt, _CHILD)
    made = S3Directory(child, target, attempt)
    try:
        attempt.begin("identify")
        with made.asking("Checking the server"):
            shown = {name: target[name] for name in ("access_key_id", "bucket", "endpoint", "path_style", "region")}
            child.call("Checking the server", "connect", shown, known, authority, attempt.stall + _GRACE_SECONDS)
        attempt.begin("authenticate")
        made.log_in()
    except BaseException:
        child.close()
        raise
    return made


def _credentials(target: Mapping[str, Any], secret: Secret, attempt: TargetAttempt) -> tuple[str, str | None]:
    """Return the secret key, and who must have signed the certificate of the server; None: anybody that the system trusts."""
    known = secret(target["secret_access_key"])
    if known is None:
        raise attempt.failed("auth_failed", "Logging in", "the secret key of the policy is not there")
    key = target["server_certificate_ca"]
    authority = attempt.certificate(key) if key is not None else None
    if key is not None and authority is None:
        raise attempt.failed("certificate_rejected", "Checking the server", "the authority of the policy is not there")
    return known, authority


class S3Directory(DrivenDirectory):
    """The objects of a bucket whose keys begin alike."""

    def __init__(self, child: ConfinedChild, target: Mapping[str, Any], attempt: TargetAttempt) -> None:
        super().__init__(attempt)
        self._child = child
        self._lock: Mapping[str, Any] = target["object_lock"]
        self._above = "".join(f"{part}/" for part in str(target["prefix"]).split("/") if part)
        self._config = self._above + "".join(f"{name}/" for name in attempt.directories)

    def log_in(self) -> None:
        """See that we may list, and that objects can be locked if they are to be."""
        with self.asking("Logging in"):
            self._child.call("Logging in", "log_in", self._config)
        doing = "Asking for object lock"
        with self.asking(doing):
            if self._lock["enabled"] and not self._child.call(doing, "locks"):
                raise self._attempt.failed("protocol_unavailable", doing, "the bucket has none")

    def prepare(self) -> None:
        """Do nothing: there are no directories."""

    @override
    def names(self) -> list[TargetFile]:
        """List ``config``."""
        doing = "Listing the files"
        with self.asking(doing):
            found = (TargetFile(*entry) for entry in self._child.call(doing, "entries", self._config))
            return bounded(self._attempt, doing, found)

    def put(self, name: str, content: Path) -> None:
        """Write a file; a probe also finds out whether the server writes over what is there."""
        doing, probe = f"Writing {checked(name)}", is_probe(name)
        if self._holds(doing, name, content):
            return
        until = datetime.now(UTC) + timedelta(days=self._lock["days"]) if self._lock["enabled"] and not probe else None
        if not self._written(doing, name, content, until):
            if self._holds(doing, name, content):
                return  # somebody else was faster, with the same
            raise self._attempt.failed("name_exists", doing, "there was another file of that name")
        if probe and self._written(doing, name, content, None):
            raise self._attempt.failed("protocol_unavailable", doing, "the server writes over what is there (If-None-Match)")
        with self.asking(doing):
            found = self._child.call(doing, "status", self._config + name)
        if found is None or found[0] != content.stat().st_size:
            raise self._attempt.failed("verify_failed", doing, "the file on the target is not the one that was sent")
        if until is not None and (found[1] != self._lock["mode"] or found[2] < until.timestamp() - _SECOND):
            raise self._attempt.failed("verify_failed", doing, "the server does not show that the file is locked")

    def _written(self, doing: str, name: str, content: Path, until: datetime | None) -> bool:
        """Write an object, locked until a time; False when its key is taken."""
        lock = {
            "x-amz-object-lock-mode": self._lock["mode"].upper(),
            "x-amz-object-lock-retain-until-date": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        } if until is not None else {}  # fmt: skip
        try:
            with self.asking(doing), opened_here(content, "rb") as file:
                self._child.call(doing, "write", self._config + name, lock, local=file)
        except BackupError as failure:
            if failure.code != "name_exists":
                raise
            return False
        return True

    @override
    def fetch(self, name: str, into: Path, most: int = MAX_ARCHIVE) -> None:
        """Read a file."""
        doing = f"Reading {checked(name)}"
        into.touch(mode=0o600, exist_ok=False)
        try:
            with self.asking(doing), opened_here(into, "wb") as file:
                self._child.call(doing, "read", self._config + name, most, local=file)
        except BaseException:
            into.unlink()
            raise

    def delete(self, name: str) -> None:
        """Delete a file."""
        doing = f"Deleting {checked(name)}"
        with self.asking(doing):
            self._child.call(doing, "delete", self._config + name)

    @override
    def close(self) -> None:
        """Let go of the server; it needs no word about it."""
        self._child.close()

    def _holds(self, doing: str, name: str, content: Path) -> bool:
        """Whether there is a file of the name, with this content. Raises ``name_exists`` when it is something else."""
        key = self._config + name
        with self.asking(doing):
            found = self._child.call(doing, "status", key)
        if found is None:
            return False
        size = content.stat().st_size
        if found[0] == size and self._digest(doing, key, size) == _digest(content):
            return True
        raise self._attempt.failed("name_exists", doing, "there is another file of that name")

    def _digest(self, doing: str, key: str, size: int) -> str | None:
        """Return the digest of an object; None where it has grown."""
        try:
            with self.asking(doing):
                return str(self._child.call(doing, "digest", key, size))
        except BackupError as failure:
            if failure.code != "verify_failed":
                raise
            return None


def _digest(content: Path) -> str:
    with content.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
