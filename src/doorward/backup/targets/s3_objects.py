"""Objects of a bucket by their keys, through a child process that talks to the server. What targets and archives stand on.

An object appears whole or not at all, and only where the key is free (``If-None-Match: *``): there are no temporary names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final, Self
from urllib.parse import urlsplit

from doorward.backup.failure import BackupError
from doorward.backup.targets.attempt import Secret, TargetAttempt, reach
from doorward.backup.targets.child import ConfinedChild, opened_here
from doorward.backup.targets.files import LocalStorageError
from doorward.backup.targets.limits import MAX_ARCHIVE, MAX_KEY, MAX_PAGE

PART: Final = 16 << 20
"""Bytes up to which an object goes in one request, and of each part of a larger one."""

_CHILD = "doorward.backup.targets.s3_child"
_HTTPS = 443
_GRACE_SECONDS = 5.0
"""What the child gets beyond the time limit; it rather ends by being killed."""
_SECOND = 1.0


def started(target: Mapping[str, Any], secret: Secret, attempt: TargetAttempt, most: int = MAX_ARCHIVE) -> ConfinedChild:
    """Start a child that has reached the server and checked its certificate. ``most``: bytes of a file that it may write here."""
    known, authority = _credentials(target, secret, attempt)
    place = urlsplit(str(target["endpoint"]))
    host = str(place.hostname)
    reach(attempt, host if target["path_style"] else f"{target['bucket']}.{host}", place.port or _HTTPS)
    child = ConfinedChild(attempt, _CHILD, str(most))
    doing = "Checking the server"
    try:
        attempt.begin("identify")
        with told(attempt, doing):
            shown = {name: target[name] for name in ("access_key_id", "bucket", "endpoint", "path_style", "region")}
            child.call(doing, "connect", shown, known, authority, attempt.stall + _GRACE_SECONDS)
        attempt.begin("authenticate")
    except BaseException:
        child.close()
        raise
    return child


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


@contextmanager
def told(attempt: TargetAttempt, doing: str) -> Iterator[None]:
    """Turn trouble with a child, or with files here, into BackupError."""
    attempt.check(doing)
    try:
        yield
    except LocalStorageError as error:
        raise attempt.failed("no_local_space", doing, f"{error.strerror} on this machine") from None
    except OSError as error:
        raise attempt.failed("connection_lost", doing, error.strerror or "no reason given") from None


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """What a server shows of an object. ``lock``: its mode, "" is none; ``until``: its end, Unix time; ``tag``: its ETag."""

    size: int
    lock: str
    until: float
    tag: str


class S3Objects:
    """The objects of a bucket. Everything blocks and raises BackupError."""

    def __init__(self, child: ConfinedChild, target: Mapping[str, Any], attempt: TargetAttempt, below: Sequence[str]) -> None:
        self._child, self._attempt = child, attempt
        self._lock: Mapping[str, Any] = target["object_lock"]
        above = (part for part in str(target["prefix"]).split("/") if part)
        self.root = "".join(f"{part}/" for part in (*above, *below))
        """What keys begin with: the prefix of the target, and names below it."""

    def log_in(self) -> None:
        """See that we may list, and that objects can be locked if they are to be."""
        with self.asking("Logging in"):
            self._child.call("Logging in", "log_in", self.root)
        doing = "Asking for object lock"
        with self.asking(doing):
            if self._lock["enabled"] and not self._child.call(doing, "locks"):
                raise self._attempt.failed("protocol_unavailable", doing, "the bucket has none")

    def status(self, doing: str, key: str) -> ObjectStatus | None:
        """Return what the server shows of an object, None when there is none."""
        with self.asking(doing):
            found = self._child.call(doing, "status", key)
        return None if found is None else ObjectStatus(*found)

    def store(self, doing: str, key: str, content: IO[bytes], size: int, digest: str) -> None:
        """Write an object from an open file of a size and a SHA-256. Equal content there: done; other: ``name_exists``.

        What is there already, of an earlier try or since somebody else was faster, is locked for as long as what is written now.
        """
        until = self.locked_until()
        if self.holds(doing, key, size, digest):
            self._lock_longer(doing, key, until)
        elif not self.written(doing, key, content, size, until):
            if not self.holds(doing, key, size, digest):
                raise self._attempt.failed("name_exists", doing, "there was another file of that name")
            self._lock_longer(doing, key, until)
        self.check_written(doing, key, size, until)

    def _lock_longer(self, doing: str, key: str, until: datetime | None) -> None:
        if until is None:
            return
        found = self.status(doing, key)
        if found is None or found.lock != self._lock["mode"] or found.until < until.timestamp() - _SECOND:
            with self.asking(doing):
                self._child.call(doing, "lock", key, self._lock["mode"].upper(), _moment(until))

    def locked_until(self) -> datetime | None:
        """Return until when an object that is written now is locked; None: not at all."""
        return datetime.now(UTC) + timedelta(days=self._lock["days"]) if self._lock["enabled"] else None

    def check_written(self, doing: str, key: str, size: int, until: datetime | None) -> None:
        """See that an object has its size and its lock. Raises ``verify_failed``."""
        found = self.status(doing, key)
        if found is None or found.size != size:
            raise self._attempt.failed("verify_failed", doing, "the file on the target is not the one that was sent")
        if until is not None and (found.lock != self._lock["mode"] or found.until < until.timestamp() - _SECOND):
            raise self._attempt.failed("verify_failed", doing, "the server does not show that the file is locked")

    def written(self, doing: str, key: str, content: IO[bytes], size: int, until: datetime | None) -> bool:
        """Write an object, locked until a time; False when its key is taken."""
        lock = {
            "x-amz-object-lock-mode": self._lock["mode"].upper(),
            "x-amz-object-lock-retain-until-date": _moment(until),
        } if until is not None else {}  # fmt: skip
        content.seek(0)  # the child reads on from there
        try:
            with self.asking(doing):
                if size > PART:
                    self._child.call(doing, "write_parts", key, lock, PART, local=content)
                else:
                    self._child.call(doing, "write", key, lock, local=content)
        except BackupError as failure:
            if failure.code != "name_exists":
                raise
            return False
        return True

    def read(self, doing: str, key: str, into: Path, most: int) -> None:
        """Copy an object of so many bytes at most to a new local file, mode 0600."""
        into.touch(mode=0o600, exist_ok=False)
        try:
            with self.asking(doing), opened_here(into, "wb") as file:
                self._child.call(doing, "read", key, most, local=file)
        except BaseException:
            into.unlink()
            raise

    def page(self, doing: str, below: str, after: str) -> list[tuple[str, int]]:
        """Return names below a prefix, without it, in order, and sizes: of a thousand objects after a name, at most."""
        with self.asking(doing):
            found = [(str(name), int(size)) for name, size in self._child.call(doing, "page", below, after)]
        if len(found) > MAX_PAGE or any(len(name) > MAX_KEY for name, _ in found):
            raise self._attempt.failed("protocol_unavailable", doing, "the server lists far too much")
        return found

    def remove(self, doing: str, key: str) -> None:
        """Delete an object, if there is one."""
        with self.asking(doing):
            self._child.call(doing, "delete", key)

    def holds(self, doing: str, key: str, size: int, digest: str) -> bool:
        """Whether there is an object of the key, with this content. Raises ``name_exists`` when it is something else."""
        found = self.status(doing, key)
        if found is None:
            return False
        if found.size == size and self.digest(doing, key, size) == digest:
            return True
        raise self._attempt.failed("name_exists", doing, "there is another file of that name")

    def digest(self, doing: str, key: str, size: int) -> str | None:
        """Read an object whole and return its SHA-256; None where it has more than ``size`` bytes."""
        try:
            with self.asking(doing):
                return str(self._child.call(doing, "digest", key, size))
        except BackupError as failure:
            if failure.code != "verify_failed":
                raise
            return None

    def failed(self, code: str, doing: str, words: str) -> BackupError:
        """Return a failure with the step, the target and words."""
        return self._attempt.failed(code, doing, words)

    def close(self) -> None:
        """Let go of the server; it needs no word about it."""
        self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @contextmanager
    def asking(self, doing: str) -> Iterator[None]:
        """Turn trouble with the child, or with files here, into BackupError."""
        with told(self._attempt, doing):
            yield


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def digest_of(content: IO[bytes]) -> str:
    """Return the SHA-256 of an open file, from where it stands."""
    return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type] # any file will do
