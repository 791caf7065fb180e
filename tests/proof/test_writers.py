"""Many writers on three nodes of a cluster: no update is lost, and nobody is told that the server failed."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checks import USERS
from tests.proof.effort import SOAK, Outcome, tries
from tests.support.members import LEFT_OPEN, Member, members
from tests.support.server import PASSWORD

pytestmark = pytest.mark.filterwarnings(LEFT_OPEN)

WRITERS = 50 if SOAK else 9
DRIFT = "/api/configuration/management/drift"
OWN, CENTRAL = "of the node", "of the cluster"


class Writer:
    """Somebody who adds one to a counter, again and again, and tries anew where others were faster.

    Who wrote it stands beside the number: two that write the same do not conflict.
    """

    def __init__(self, member: Member, number: int, counter: str, statuses: Counter[int]) -> None:
        self.member, self.number, self._counter, self._statuses = member, number, counter, statuses
        self._client = member.server.login("admin", PASSWORD)
        self.added: Counter[str] = Counter()

    def add_one(self, what: str) -> None:
        """Add one to a counter."""
        while not self._tried(what):
            pass
        self.added[what] += 1

    def _tried(self, what: str) -> bool:
        self._ask("POST", "/api/transaction")
        if what == CENTRAL:
            body = self._ask("GET", self._counter).json()["body"]
            written = self._ask("PUT", self._counter, {**body, "name": f"counter-{named(body) + 1}-by-{self.number}"})
        else:
            body = self._ask("GET", DRIFT).json()["body"]
            written = self._ask("PUT", DRIFT, {**body, "exceptions": [f"/{counted(body) + 1}/by-{self.number}"]})
        assert written.status_code == 200, written.text
        done = self._ask("PUT", "/api/transaction", {"status": "commit"})
        if done.status_code == 200:
            return True
        assert done.status_code == 409, done.text
        self._ask("DELETE", "/api/transaction")
        return False

    def add_user(self, number: int) -> None:
        """Make an object of one's own beside the others'."""
        made = self._ask("POST", USERS, {"name": f"writer-{self.number}-{number}"})
        assert made.status_code == 201, made.text
        done = self._ask("PUT", "/api/transaction", {"status": "commit"})
        assert done.status_code == 200, done.text
        self.added["users"] += 1

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._client.send(method, path, body)
        self._statuses[answer.status_code] += 1
        return answer


def counted(body: dict[str, Any]) -> int:
    return int((body["exceptions"] or ["/0"])[0].split("/")[1])


def named(body: dict[str, Any]) -> int:
    return int(body["name"].split("-")[1])


def test_no_update_of_many_writers_is_lost(tmp_path: Path) -> None:
    total = tries(short=27, long=1000)
    with members(tmp_path, 3) as nodes:
        central = nodes[0]
        for node in nodes[1:]:
            node.join(central, "managed-host")
        statuses: Counter[int] = Counter()
        counter = f"{USERS}/{central.write(USERS, {'name': 'counter-0'}, 'POST')['key']}"
        writers = [Writer(nodes[number % 3], number, counter, statuses) for number in range(WRITERS)]
        turns, lock = count(), threading.Lock()

        def work(writer: Writer) -> None:
            while True:
                with lock:
                    turn = next(turns)
                if turn >= total:
                    return
                if writer.member is not central or turn % 3 == 0:
                    writer.add_one(OWN)
                elif turn % 3 == 1:
                    writer.add_one(CENTRAL)
                else:
                    writer.add_user(turn)

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(work, writers))
        added = sum((writer.added for writer in writers), Counter[str]())
        names = [item["body"]["name"] for item in central.shown(USERS)["items"]]
        assert sum(name.startswith("writer-") for name in names) == added["users"]
        for node in nodes:
            own = sum(writer.added[OWN] for writer in writers if writer.member is node)
            assert counted(node.body(DRIFT)) == own
        central.settled(*nodes[1:])
        assert [named(node.body(counter)) for node in nodes] == [added[CENTRAL]] * 3
    assert not [status for status in statuses if status >= 500]
    assert sum(added.values()) == total
    Outcome(f"{WRITERS} writers on three nodes", total, {"conflicts": statuses[409], "answers": sum(statuses.values())}).keep()
