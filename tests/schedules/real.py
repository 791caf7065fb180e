"""The real cluster for schedules: five processes on machines of their own, a switch between them that fails, and their API."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

import httpx2

from doorward import __version__
from tests.schedules.checks import Checker, Settled, Trial, issues
from tests.schedules.machine import NAMES
from tests.support.members import JOIN, NODES, NTP, STATUS, ZONE, Member
from tests.support.network import Network
from tests.support.server import until
from tests.support.waiting import PATIENCE

ZONES = ("Europe/Vienna", "Europe/Rome", "Asia/Tokyo", "Etc/UTC", "America/Lima", "Europe/Oslo")
WEB, OWN, USERS = (
    f"/api/configuration/{path}" for path in ("management/webinterface", "troubleshooting", "aaa/local_database/users")
)
OFFLINE = 6.0
"""Seconds after which these nodes are missed."""
TRIAL = 10
"""The seconds of a commit on trial, the fewest there are."""
LONGEST = 1.5
"""What a schedule's time is cut down to, in seconds."""


class Visited(Member):
    """A node whose visitor logs in again when that is over: a managed node has the accounts of Central Management."""

    def send(self, method: str, path: str, value: Any = None) -> httpx2.Response:
        answer = super().send(method, path, value)
        while answer.status_code == 401:
            self.login()
            answer = super().send(method, path, value)
        return answer


class Real:
    """The same events as in a simulated cluster, on one that goes on from schedule to schedule."""

    def __init__(self, network: Network, members: list[Member]) -> None:
        self.network, self.members = network, dict(zip(NAMES, members, strict=True))
        self.machines = dict(zip(NAMES, network.machines[1:], strict=True))
        self.central = members[0]
        self.checker = Checker(offline=OFFLINE)
        self.asked: dict[str, Any] = {}
        self.asked_on_trial: dict[str, Any] = {}
        self.accepted: dict[str, Any] = {}
        self.dead: set[str] = set()
        self.release = dict.fromkeys(NAMES, __version__)
        self.trial: set[str] = set()
        """Nodes whose next commit is on trial."""
        self.before: dict[str, Settled] = {}
        """What they were before anything was written: who has a transaction open sees what is in it."""

    # What machines and networks do

    def cut(self, one: str, other: str, *, both: bool) -> None:
        self.network.cut(self.machines[one], self.machines[other], both=both)

    def heal(self) -> None:
        self.network.heal()

    def worsen(self, loss: float, delay: float) -> None:
        """Less than in a simulated world: the questions of the test take the same way."""
        self.network.loss, self.network.delay = min(loss, 0.03), min(delay, 0.02)

    def kill(self, name: str) -> None:
        if name not in self.dead:
            self.dead.add(name)
            self.members[name].server.kill()

    def start(self, name: str) -> None:
        if name in self.dead:
            self.members[name].start()
            self.dead.remove(name)

    def upgrade(self, name: str, release: str) -> None:
        """Put another release in place, or what other nodes take for one."""
        self.kill(name)
        self.release[name] = self.members[name].server.environment["RELEASE"] = release
        self.start(name)

    def advance(self, seconds: float) -> None:
        """Look at everything for a while."""
        end = time.monotonic() + min(seconds, LONGEST)
        while time.monotonic() < end:
            self.check()

    # What administrators do

    def commit(self, what: str, value: int) -> None:
        """Change something on Central Management."""
        body: tuple[str, Any] = {
            "zone": (ZONE, ZONES[value % len(ZONES)]),
            "servers": (NTP, [{"selection": "ip", "value": f"127.0.0.{40 + number}"} for number in range(value % 4)]),
            "timeout": (WEB, {"timeout": 10 + value}),
            "user": (WEB, {"timeout": 20 + value}),
        }[what]
        self._carried_out("centre", lambda central: self._put(central, *body))

    def die_amid_commits(self, value: int) -> None:
        """Let Central Management die while it commits; what it acknowledged must be there when it is back."""
        if "centre" in self.dead or "centre" in self.checker.trials:
            return
        self.trial.discard("centre")
        done: list[int] = []

        def commits() -> None:
            with suppress(httpx2.TransportError):
                while self._carried_out(
                    "centre", lambda central: self._put(central, WEB, {"timeout": 30 + (value + len(done)) % 20})
                ):
                    done.append(1)

        thread = threading.Thread(target=commits, daemon=True)
        thread.start()
        until(lambda: len(done) > value, 30, "some commits")
        self.kill("centre")
        thread.join(PATIENCE)
        self.start("centre")

    def local(self, name: str, value: int) -> None:
        body = {"core_files": {"retention_days": 1 + value}}
        self._carried_out(name, lambda member: self._put(member, OWN, member.body(OWN) | body))

    def meddle(self, name: str, value: int) -> None:
        """Change on a node what Central Management sets; a managed host refuses it."""
        if name in self.dead:
            return
        member = self.members[name]
        managed = member.is_in() and "managed-host" in member.body("/api/info")["roles"]
        if managed:
            answer = member.send("PUT", ZONE, ZONES[value % len(ZONES)])
            codes = [problem["code"] for problem in answer.json()["error"]["details"]["errors"]]
            assert (answer.status_code, codes) == (400, ["from_central_management"])
        else:
            self._carried_out(name, lambda node: self._put(node, ZONE, ZONES[value % len(ZONES)]))

    def ask(self, name: str) -> None:
        def work(member: Member) -> bool:
            answer = member.send("POST", JOIN, {"central_management_address": self.central.address})
            done = answer.status_code == 201 and self._commit(member)
            if done:
                asked = self.asked_on_trial if name in self.checker.trials else self.asked
                asked[name] = answer.json()["body"]
                member.id = asked[name]["node_id"]
            return done

        self._carried_out(name, work)

    def accept(self, name: str) -> None:
        asked = self.asked.get(name)
        if asked and self._carried_out("centre", lambda central: self._sent(central, "POST", NODES, asked)) and self._for_good():
            self.accepted[name] = asked

    def give(self, name: str, *, managed: bool) -> None:
        member = self.members[name]
        body = {"address": member.address, "roles": ["search-local", *(["managed-host"] if managed else [])]}
        self._carried_out("centre", lambda central: self._sent(central, "PUT", f"{NODES}/{member.id}", body))

    def remove(self, name: str) -> None:
        path = f"{NODES}/{self.members[name].id}"
        if self._carried_out("centre", lambda central: self._sent(central, "DELETE", path)) and self._for_good():
            self.accepted.pop(name, None)

    def leave(self, name: str) -> None:
        self._carried_out(name, lambda member: self._sent(member, "DELETE", JOIN))

    def try_out(self, name: str, _seconds: int) -> None:
        """Let the next commit of a node, whatever it is, be one that goes back unless it is confirmed."""
        self.trial.add(name)

    def confirm(self, name: str) -> None:
        """Keep what is on trial on a node."""

        def work(member: Member) -> bool:
            self.checker.confirms(name, done=False)
            done = member.send("PUT", "/api/transaction", {"status": "confirm"}).status_code == 200
            if done:
                self.checker.confirms(name, done=True)
            return done

        if name in self.checker.trials:
            self._carried_out(name, work)

    def _carried_out(self, name: str, work: Callable[[Member], bool]) -> bool:
        """Let an administrator do something; whether it was granted. An acknowledged commit may never be lost."""
        if name in self.dead:
            return False
        member = self.members[name]
        self._look_at_trial(name)
        if name in self.trial:
            self.before[name] = settled(member)
        done = work(member)
        if done:
            newest = member.shown("/api/revisions?limit=1")["items"][0]
            self.checker.committed(name, int(newest["key"]), newest["body"]["hash"])
        else:
            member.client.delete("/api/transaction")
        return done

    def _for_good(self) -> bool:
        """Whether nothing is on trial on Central Management."""
        return "centre" not in self.checker.trials

    def _put(self, member: Member, path: str, body: Any) -> bool:
        return self._sent(member, "PUT", path, body)

    def _sent(self, member: Member, method: str, path: str, body: Any = None) -> bool:
        """Write and commit; whether both were granted."""
        answer = member.send(method, path, body)
        return answer.status_code in {200, 201} and self._commit(member)

    def _commit(self, member: Member) -> bool:
        """Commit, on trial or for good; whether it was granted."""
        name = next(name for name, one in self.members.items() if one is member)
        if name not in self.trial:
            return member.send("PUT", "/api/transaction", {"status": "commit"}).status_code == 200
        self.trial.remove(name)
        answer = member.send("PUT", "/api/transaction", {"status": "commit", "confirm_seconds": TRIAL})
        if answer.status_code == 200 and "confirm_remaining_seconds" in (meta := answer.json()["meta"]):
            self.checker.trials[name] = Trial(meta["commit"], meta["revision"], self.before[name])
        return answer.status_code == 200

    # What must be true

    def check(self) -> None:
        for name, member in self.members.items():
            if name not in self.dead:
                self._look_at_trial(name)
                self.checker.kept(name, lambda commit, member=member: _state(member, commit))  # type: ignore[misc]
                known = {int(one["key"]): one["body"]["hash"] for one in member.shown("/api/revisions?limit=100")["items"]}
                self.checker.history(name, known.get, since=min(known))
        if "centre" not in self.dead:
            for item in self.central.shown(STATUS)["items"][1:]:
                self._check_status(item)

    def _look_at_trial(self, name: str) -> None:
        """See whether what was on trial still is, and what became of it."""
        member, trial = self.members[name], self.checker.trials.get(name)
        if trial is not None and "confirm_remaining_seconds" not in member.shown("/api/transaction")["meta"]:
            now = settled(member)
            alone = member.revision() <= trial.revision + 1
            state, asked = _state(member, trial.commit), self.asked_on_trial.pop(name, None)
            self.checker.over(name, state, now if alone else None)
            if state == "done" and asked:
                self.asked[name] = asked

    def _check_status(self, item: dict[str, Any]) -> None:
        name = next(name for name, member in self.members.items() if member.id == item["key"])
        running = wanted = None
        applied = (item.get("configuration_sync") or {}).get("applied")
        if applied and item["sync_status"] == "up-to-date" and name not in self.dead:
            member = self.members[name]
            if member.is_in() and "managed-host" in member.body("/api/info")["roles"]:
                running, wanted = content(member), self.checker.settled("centre", settled(self.central)).content
                at = applied["epoch"], applied["number"]
                self.checker.revision(at, item["configuration_sync"]["downloaded_xml_hash"], wanted)
                self.checker.applied(name, at)
            else:
                self.checker.let_go(name)
        age = math.inf
        if "last_seen" in item:
            age = (datetime.now(UTC) - datetime.fromisoformat(item["last_seen"])).total_seconds()
        self.checker.status(name, item, (age - 2.0, age + 2.0), wanted, running)

    def settle(self) -> None:
        """Heal everything, wait until everybody is where they should be, and look for secrets that should be gone."""
        self.heal()
        self.trial.clear()
        for name in NAMES:
            self.start(name)
        for name in NAMES:
            until(lambda name=name: self._decided(name), 60, f"nothing on trial on {name}")  # type: ignore[misc]
        self._wait_for_all()
        for name in NAMES[1:]:
            if self.release[name] != self.release["centre"]:
                self.upgrade(name, self.release["centre"])
        self._wait_for_all()
        self.check()

    def _decided(self, name: str) -> bool:
        """Confirm what is on trial, unless it goes back in a moment."""
        self._look_at_trial(name)
        if name not in self.checker.trials:
            return True
        if self.members[name].shown("/api/transaction")["meta"].get("confirm_remaining_seconds", 0) > TRIAL / 2:
            self.confirm(name)
        return False

    def _wait_for_all(self) -> None:
        for name in NAMES[1:]:
            until(lambda name=name: self._in_place(name), 60, f"{name} in its place")  # type: ignore[misc]

    def _in_place(self, name: str) -> bool:
        member = self.members[name]
        status, _ = member.request()
        row = self.central.send("GET", f"{NODES}/{member.id}").json().get("body") if member.id else None
        differs = self.release[name] != self.release["centre"]
        if differs and status == "join requested":
            return True
        if status != "in cluster":
            expected = (
                name in self.accepted and self.accepted[name] == self.asked.get(name) and row and status == "join requested"
            )
            return not expected
        if row is None:
            return False  # it was removed, and is to learn so
        said = self.central.says(member)
        synced = "up-to-date" if "managed-host" in row["roles"] else "n/a"
        told = any(issue["code"] == "version_mismatch" for issue in issues(said))
        if told != differs:
            return False
        self.checker.releases(name, said, self.release[name], self.release["centre"])
        if differs and said["sync_status"] == "outdated":
            synced = "outdated"
        well = (said["status"] != "offline", said["sync_status"], member.body("/api/info")["roles"]) == (
            True,
            synced,
            row["roles"],
        )
        return well and bool(member.central()["reachable"]) and not _psks(member)

    def close(self) -> None:
        """The cluster goes on."""


def content(member: Member) -> str:
    """A digest of some of the settings that Central Management sets."""
    return hashlib.sha256(json.dumps([member.body(path) for path in (ZONE, NTP, WEB)], sort_keys=True).encode()).hexdigest()


def settled(member: Member) -> Settled:
    """Digests of some of the settings that Central Management sets, and of some that can go back."""
    bodies = [member.body(OWN), [(one["key"], one["body"]) for one in member.shown(NODES)["items"]], member.request()[0]]
    whole = hashlib.sha256(json.dumps([content(member), bodies], sort_keys=True).encode()).hexdigest()
    return Settled(content(member), whole)


def _state(member: Member, commit: str) -> str:
    """What the record of a commit says, as a path below /api/commits."""
    return str(member.body(commit)["state"])


def _psks(member: Member) -> int:
    """How many secrets of pairings a node keeps."""
    with closing(sqlite3.connect(f"{(member.state / 'doorward.db').as_uri()}?mode=ro", uri=True)) as store:
        return int(store.execute("SELECT count(*) FROM records WHERE kind = 'cluster_psk'").fetchone()[0])
