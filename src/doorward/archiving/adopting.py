"""Sessions of a node that is gone for good, taken over by what it left beside its recordings in a bucket.

Some objects at a time: whoever asks goes on after the last name, so that nothing has to be kept of it, and a kill loses nothing.
The bucket may hold anything. What is not signed by the node, or tells of something else, is left out and named.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection
from pathlib import PurePath
from typing import Final

import structlog
from msgspec import Struct, structs

from doorward.archiving.bucket import Bucket, open_bucket
from doorward.archiving.policies import label_of
from doorward.archiving.session_record import DIRECTORY, MAX_RECORD, BadRecordError, SessionRecord, key_in, opened
from doorward.backup.failure import BackupError, on_this_node
from doorward.backup.node import NodeView
from doorward.configuration.policies import archive_cleanup_policies
from doorward.configuration.policies._s3 import S3Target
from doorward.configuration.policies.archive_cleanup_policies import ArchivePolicy
from doorward.recording.journal import SUFFIX
from doorward.sessions.catalogue.criteria import ALL
from doorward.sessions.catalogue.port import CatalogueUnavailableError, SessionCatalogue
from doorward.sessions.catalogue.results import TooSlowError
from doorward.sessions.catalogue.rows import SessionRow, TrailArchive
from doorward.tree.plaintext import plain

log = structlog.get_logger()

STEP_SECONDS: Final = 20.0
"""How long a step takes, and a little more."""
MAX_NAMED: Final = 3
"""Objects that a step names of those that it left out."""
_STEP_BYTES: Final = 256 << 20


class NotAdoptedError(Exception):
    """Why nothing can be taken over, or nothing more, in a sentence."""


class Adopted(Struct, frozen=True, kw_only=True):
    """What a step did. ``after``: where the next one goes on; "": there is none. ``named``: some of those that were left out."""

    adopted: int = 0
    present: int = 0
    left_out: int = 0
    named: tuple[str, ...] = ()
    after: str = ""


class SessionAdoption:
    """Takes over sessions.

    ``certificate_of`` returns the certificate (DER) that a node is known by; ``living``: nodes that are asked for theirs.
    """

    def __init__(
        self,
        node: NodeView,
        catalogue: SessionCatalogue,
        certificate_of: Callable[[str], bytes | None],
        living: Callable[[], Collection[str]],
    ) -> None:
        self._node, self._catalogue, self._certificate_of, self._living = node, catalogue, certificate_of, living
        self._stop = threading.Event()

    def stop(self) -> None:
        """Break off what is at work."""
        self._stop.set()

    def step(self, archive: str, node: str, after: str = "", *, seconds: float = STEP_SECONDS) -> Adopted:
        """Take over sessions of a node that went by a policy, given by its name or key. Blocks. Raises NotAdoptedError."""
        certificate = self._checked(node)
        key, policy = self._policy(archive)
        try:
            with on_this_node(), self._opened(policy, node) as bucket:
                below = f"{bucket.root}{DIRECTORY}/{node}/"
                work = _Step(self._node, self._catalogue, bucket, below, _Origin(node, certificate, key, policy))
                return work.done(after, time.monotonic() + seconds)
        except BackupError as failure:
            raise NotAdoptedError(failure.message) from failure
        except (CatalogueUnavailableError, TooSlowError) as why:
            raise NotAdoptedError(f"The session catalogue can't be used now: {why}.") from why

    def _opened(self, policy: ArchivePolicy, node: str) -> Bucket:
        return open_bucket(structs.replace(self._node, id=node), policy, _STEP_BYTES, self._stop)

    def _checked(self, node: str) -> bytes:
        """Return the certificate of a node whose sessions may be taken over."""
        if self._catalogue.node is not None and node != self._catalogue.node:
            raise NotAdoptedError("This node shares its catalogue: the sessions of the others are in it already.")
        if node in self._living():
            raise NotAdoptedError(f"The node {plain(node)} is asked for its sessions; remove it from the cluster first.")
        certificate = self._certificate_of(node)
        if certificate is None:
            raise NotAdoptedError(
                f"The certificate of the node {plain(node)} is not known here: it never was in this cluster, or was removed"
                " more than 30 days ago."
            )
        return certificate

    def _policy(self, archive: str) -> tuple[str, ArchivePolicy]:
        found = [
            (key, body)
            for key, body in self._node.pipeline.running.snapshot.each(archive_cleanup_policies.NODE)
            if archive in {key, body.name}
        ]
        if not found:
            raise NotAdoptedError(f"There is no archive policy {plain(archive)}.")
        if not isinstance(found[0][1].target, S3Target):
            raise NotAdoptedError(f"The archive policy {plain(archive)} has no bucket.")
        return found[0]


class _Origin(Struct, frozen=True):
    """Whose sessions they are, and by which policy they are reached here."""

    node: str
    certificate: bytes
    key: str
    policy: ArchivePolicy

    def placed(self, row: SessionRow, archive: TrailArchive) -> SessionRow:
        """Return a row whose recording is in the bucket of the policy, and nowhere else.

        Its path here is that of no other session, whatever the record says: it is deleted with the row.
        """
        place = structs.replace(
            archive, policy_key=self.key, policy=self.policy.name, target=label_of(self.policy), is_here=False, tag="",
            at=archive.at or row.ended,
        )  # fmt: skip
        return structs.replace(row, archive=place, is_archived=True, trail=row.key + SUFFIX, extra={})


class _Step:
    """One look through some records."""

    def __init__(self, node: NodeView, catalogue: SessionCatalogue, bucket: Bucket, below: str, origin: _Origin) -> None:
        self._catalogue, self._bucket, self._below, self._origin = catalogue, bucket, below, origin
        self._spool = node.spool
        self._done = Adopted()
        self._named: list[str] = []

    def done(self, after: str, end: float) -> Adopted:
        while page := self._bucket.page(self._below, after):
            if page[-1][0] <= after:
                raise NotAdoptedError("The server lists the same again and again.")
            for name, size in page:
                after = name
                self._one(name, size)
                if time.monotonic() > end:
                    return structs.replace(self._done, named=tuple(self._named), after=after)
        return structs.replace(self._done, named=tuple(self._named))

    def _one(self, name: str, size: int) -> None:
        key = key_in(name)
        try:
            if key is None:
                raise BadRecordError("no session has this name")
            if size > MAX_RECORD:
                raise BadRecordError("it is too large")
            with self._catalogue.looking() as look:
                is_known = look.one(key, ALL) is not None
            if is_known:
                self._done = structs.replace(self._done, present=self._done.present + 1)
                return
            record = opened(self._read(name), key, self._origin.node, self._origin.certificate)
        except BadRecordError as why:
            self._leave_out(name, str(why))
            return
        is_new = self._adopt(record)
        done = self._done
        self._done = structs.replace(done, adopted=done.adopted + is_new, present=done.present + (not is_new))

    def _read(self, name: str) -> bytes:
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._spool / f"adopted-{PurePath(name).stem}"
        path.unlink(missing_ok=True)
        try:
            self._bucket.read(self._below + name, path, MAX_RECORD)
            return path.read_bytes()
        except BackupError as failure:
            if failure.code not in {"no_such_path", "verify_failed"}:
                raise
            raise BadRecordError("it changed while it was read") from failure
        finally:
            path.unlink(missing_ok=True)

    def _adopt(self, record: SessionRecord) -> bool:
        if record.row.archive is None:
            raise BadRecordError("it tells of no recording")
        row = self._origin.placed(record.row, record.row.archive)
        is_new = asyncio.run(self._catalogue.adopt(row, record.channels, record.events, record.alerts))
        if is_new:
            log.info("a session of a node that is gone was taken over", session=row.session_id, node=row.node)
        return is_new

    def _leave_out(self, name: str, why: str) -> None:
        log.warning("an object beside recordings was left out", object=plain(self._below + name), reason=why)
        self._done = structs.replace(self._done, left_out=self._done.left_out + 1)
        if len(self._named) < MAX_NAMED:
            self._named.append(f"{plain(name)[:200]}: {why}")
