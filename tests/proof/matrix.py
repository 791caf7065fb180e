"""Which proof notices that a boundary is missing; for the others why none does.

The boundaries are found in the sources: a new one has to be added here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tests.proof.boundaries import Boundary, boundaries
from tests.proof.effort import SOAK, chance
from tests.proof.recording import Recording
from tests.proof.removal import telling_places, without

RECORDS, COMMITS, SESSIONS = "test_power_records", "test_machine_faults", "test_power_sessions"
"""The proofs, by the names of their files."""
ELSEWHERE = "It is on the disk of a backup target, behind a protocol."
ANOTHER = "PostgreSQL makes it safe, which is another process; that it is asked to is tested in test_postgresql."
FOR_READERS = "Every start writes it anew; it is for programs beside a server that runs."
FOR_A_DAY = "It is gone after a start at the latest, and nothing of it is promised for longer."
AGAIN = "A command that somebody runs once, and can run again: what is in the other catalogue is not put there twice."
REPEATED = "It only takes away what nobody wants any more, and what was not taken away is taken away again."
ROOM = "It makes room for later writes, which are synced themselves."
BESIDE = "SQLite syncs the directory when it begins its log there, ahead of the first transaction under the key."
CLOSED = "The store is closed before the old key goes, which syncs its log and carries it into its file."
UNSEEN = "It keeps what was erased from being found on a stolen disk; a loss of power shows nothing of that."

PLAN = {
    "name appliance.admin_listeners:AdminListeners.tell": FOR_READERS,
    "name appliance.trusted:hand_out": FOR_READERS,
    "name archiving.fetching:FetchedTrails._fetch": FOR_A_DAY,
    "sync backup.restore.applying:_history_beside": RECORDS,
    "name backup.restore.applying:_history_beside": RECORDS,
    "sync backup.restore.applying:_history_beside 2": RECORDS,
    "name backup.service:Backups.download": FOR_A_DAY,
    "sync backup.targets.nfs_mount:MountedFiles.write": ELSEWHERE,
    "name backup.targets.nfs_mount:MountedFiles.publish": ELSEWHERE,
    "name backup.targets.nfs_mount:MountedFiles.publish 2": ELSEWHERE,
    "sync backup.targets.nfs_mount:MountedFiles.publish": ELSEWHERE,
    "name cli.stage:Stage.save": "What a user of the command line has not committed yet is no state of the appliance.",
    "name events.support_bundles:Bundles._write": FOR_A_DAY,
    "name host.files:DiskFiles.write": COMMITS,
    "sync host.files:DiskFiles.write": COMMITS,
    "sync host.files:DiskFiles.remove": RECORDS,
    "sync host.files:_step": COMMITS,
    "sync host.files:make_directory": RECORDS,
    "sync host.files:_fill": COMMITS,
    "name proxy.local_sockets:listen": "It names a socket, which is nothing without its process.",
    "sync proxy.worker.outbox:write_end": SESSIONS,
    "name proxy.worker.outbox:write_end": SESSIONS,
    "sync proxy.worker.outbox:write_end 2": SESSIONS,
    "sync proxy.worker.sealing:add_seal": SESSIONS,
    "sync recording.journal:_Trail.sync": SESSIONS,
    "sync recording.journal:_Segment.__init__": ROOM,
    "sync recording.journal:Journal.__init__": SESSIONS,
    "sync recording.journal:Journal.sync": SESSIONS,
    "sync recording.journal:Journal.stop": SESSIONS,
    "sync recording.journal:_checkpoint": SESSIONS,
    "sync recording.recovery:recover": SESSIONS,
    "sync recording.recovery:recover 2": REPEATED,
    "sync recording.recovery:_session": SESSIONS,
    "sync sessions.trails:Trails.delete": REPEATED,
    "sync store.log:make_room": ROOM,
    "name store.rotation:settle": RECORDS,
    "sync store.rotation:settle": REPEATED,
    "sync store.rotation:_overwrite": UNSEEN,
    "commit store.sqlite:SqliteStore.begin": COMMITS,
    "commit store.sqlite:SqliteStore.publish": RECORDS,
    "commit store.sqlite:SqliteStore.close_journal": "The next start undoes the commit once more, and says so.",
    "commit store.sqlite:SqliteStore.save_commit_record": RECORDS,
    "commit store.sqlite:SqliteStore.forget_commit_records": REPEATED,
    "commit store.sqlite:SqliteStore.confirmed": RECORDS,
    "commit store.sqlite:SqliteStore.await_confirmation": RECORDS,
    "commit store.sqlite:SqliteStore.forget_secret": REPEATED,
    "commit store.sqlite:SqliteStore.reseal": CLOSED,
    "commit store.sqlite:SqliteStore.put_record": RECORDS,
    "commit store.sqlite:SqliteStore.remove_record": RECORDS,
    "commit store.sqlite:SqliteStore.trim_records": REPEATED,
    "commit store.stored_history:StoredHistory._sign_what_is_not": "Every start signs what is not signed.",
    "sync store.vault:_write_new": RECORDS,
    "name store.vault:_write_new": RECORDS,
    "sync store.vault:_write_new 2": BESIDE,
    "sync cli.moving:moved": AGAIN,
    "name cli.moving:moved": AGAIN,
    "commit sessions.catalogue.postgresql.tally:NodeTally._begin": ANOTHER,
    "commit sessions.catalogue.postgresql.writing:PostgresTransactions.commit": ANOTHER,
    "commit sessions.catalogue.sqlite.writing:SqliteTransactions.commit": SESSIONS,
}
"""The proof that notices, or why nothing has to."""
SOME = 3
"""So many of a proof's boundaries are left out in turn by the tests; a soak leaves out all of them."""
REPEATS = 8
"""How often the places are cut at, by another chance each time, until something is missing."""

Check = Callable[[Recording, int, Path], None]
"""Looks at the disk that a cut before an entry left, and fails where something is missing."""


def planned(proof: str) -> list[Boundary]:
    """Return the boundaries that a proof has to notice: some of them, by chance, unless this is a soak."""
    found = [one for one in boundaries() if PLAN.get(one.name) == proof]
    if SOAK or len(found) <= SOME:
        return found
    return sorted(chance(f"boundaries of {proof}").sample(found, SOME), key=found.index)


def recorded(directory: Path, module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with notes of where in the sources it changes the disk."""
    return [sys.executable, str(Path(__file__).with_name("sites.py")), str(directory / "disk.log"), module, *arguments]


def is_noticed(recording: Recording, boundary: Boundary, check: Check, into: Path) -> bool:
    """Whether a proof fails for a build without a boundary."""
    entries, removed = without(recording.entries, boundary)
    assert removed, f"{boundary.name} was never passed"
    changed, dice = Recording(recording.root, entries), chance(boundary.name)
    for _ in range(REPEATS):
        try:
            for at, disk in changed.cuts(list(telling_places(entries, removed, dice)), dice, into):
                check(changed, at, disk)
        except Exception:  # noqa: BLE001 - whatever is missing, by whatever it is noticed
            return True
    return False
