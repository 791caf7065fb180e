"""What a worker and control do for sessions, with a journal that is soon full: recorded by the shim, and told in marks.

``python tests/proof/sites.py LOG tests.proof.power_sessions STATE LOG``
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from doorward.host.files import sync_directory
from doorward.proxy.messages import Ended
from doorward.proxy.worker.crashed import recover_all
from doorward.proxy.worker.outbox import packed, write_end
from doorward.proxy.worker.places import Places
from doorward.proxy.worker.sealing import add_seal
from doorward.recording.format import first_chain, frames, read_beginning
from doorward.recording.journal import SUFFIX, Journal
from doorward.recording.keys import ContentKeys, in_clear
from doorward.recording.records import Record, RecordKind
from doorward.recording.writer import TrailWriter
from doorward.sessions.catalogue.rows import ACCEPT, SessionEnd
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.proof.disk_log import mark
from tests.support.recorded import key_of, row

ROUNDS = 12
SESSIONS = 5
LINES = 30


class Session:
    """One that is recorded: it says its numbers."""

    def __init__(self, journal: Journal, key: str) -> None:
        self.journal, self.key, self.said = journal, key, 0
        keys = ContentKeys.fresh()
        assert keys.screen is not None
        assert keys.keystrokes is not None
        blocks = {"screen": in_clear(keys.screen), "keystrokes": in_clear(keys.keystrokes)}
        self.writer = TrailWriter({"session": key, "started": "2026-11-29T10:00:00Z"}, blocks, keys, tuple)
        journal.open(key, self.writer.head)

    def say(self) -> None:
        self.said += 1
        record = Record(self.said, RecordKind.OUTPUT, 1, b"%d\n" % self.said)
        for frame in (*self.writer.write(record), *self.writer.flush()):
            self.journal.append(self.key, frame)

    def close(self) -> None:
        for frame in self.writer.close({"reason": "client", "verdict": ACCEPT}, self.said):
            self.journal.append(self.key, frame)
        self.journal.close(self.key)


def main() -> None:
    """Begin sessions, let them speak in turns, end most of them; what is promised is marked once it is."""
    state, log = Path(sys.argv[1]), Path(sys.argv[2])
    state.mkdir()
    sync_directory(state.parent)
    places = Places.of(state)
    places.prepare()
    catalogue = SqliteCatalogue(state / "sessions.db")
    journal = Journal(places.trails, "worker", segment=24_000, reserve=4096)
    number, sessions = 0, list[Session]()
    for _ in range(ROUNDS):
        sessions = []
        for _ in range(SESSIONS):
            number += 1
            asyncio.run(catalogue.begin(row(number)))
            mark(log, began=key_of(number))
            sessions.append(Session(journal, key_of(number)))
            mark(log, opened=key_of(number))
        for _ in range(LINES):
            for session in sessions:
                session.say()
            journal.sync()
            mark(log, said={session.key: session.said for session in sessions})
        for session in sessions[1:]:
            session.close()
            asyncio.run(catalogue.end(session.key, SessionEnd(at=session.said, verdict=ACCEPT, reason="", down=1, up=1)))
            mark(log, ended=session.key)
    seal(places.trails, sessions[1].key)
    mark(log, sealed=sessions[1].key)
    for _ in range(2):  # it is written anew when control has noted a part of it
        tell(places.trails, sessions[2].key)
        mark(log, told=sessions[2].key)
    journal.sync()
    catalogue.close()
    recover_as_after_a_crash(places, log)


def tell(trails: Path, key: str) -> None:
    """Keep the end of a session beside its trail until control notes it."""
    ended = Ended(session=key, at=1, verdict=ACCEPT, reason="client", down=1, up=1, trail_bytes=1, recorded=True, serial=1)
    write_end(trails, key, packed([ended]))


def seal(trails: Path, key: str) -> None:
    """Put the last seal behind a trail that was closed, as a worker does when control is back."""
    data = (trails / f"{key}{SUFFIX}").read_bytes()
    _, begin = read_beginning(data)
    last = list(frames(data, begin, first_chain(data[:begin])))[-1]
    assert add_seal(trails / f"{key}{SUFFIX}", {"seal": "the last one"}, last.number, last.next_chain)


def recover_as_after_a_crash(places: Places, log: Path) -> None:
    """Die in the middle of a session, and bring its trail to what its journal holds; then end another journal well."""
    child = os.fork()
    if not child:
        journal = Journal(places.trails, "other", segment=24_000, reserve=4096)
        session = Session(journal, key_of(1000))
        mark(log, opened=session.key)
        session.say()
        journal.sync()
        mark(log, said={session.key: session.said})
        os._exit(0)
    os.waitpid(child, 0)
    recover_all(places.trails)
    mark(log, told=key_of(1000))
    journal = Journal(places.trails, "third", segment=24_000, reserve=4096)
    session = Session(journal, key_of(1001))
    session.say()
    journal.sync()
    mark(log, opened=session.key, said={session.key: session.said})
    journal.stop()
    mark(log, opened=session.key)


if __name__ == "__main__":
    main()
