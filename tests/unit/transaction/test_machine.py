"""Two people with a transaction each, doing anything in any order, against a simple model of what must come of it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from doorward.configuration.datetime import ntp_servers
from doorward.configuration.datetime.ntp_servers import sources
from doorward.store.port import Revision
from doorward.transaction.candidate import Candidate
from doorward.transaction.merge import MergeConflict
from doorward.transaction.pipeline import ApplyFailed
from doorward.tree.problems import SemanticError
from doorward.tree.snapshot import Snapshot
from tests.unit.transaction.model import SINGLETONS, Model, merged
from tests.unit.transaction.rig import GROUPS, ROOT, SERVERS, USERS, WEB, ZONE, Rig, ip

FAST = "/dev/shm"  # a disk that answers at once; syncing is not what is tested here
CLIENTS = st.sampled_from(["jane", "joe"])
ADDRESSES = st.lists(st.integers(1, 4), max_size=3, unique=True)
NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "B", "admin"])
ZONES = st.sampled_from(["Etc/UTC", "Europe/Budapest", "America/New_York"])
EDITS = st.sampled_from(
    [
        *("servers", "zone", "web"),
        *("new_user", "new_user", "rename_user", "delete_user"),
        *("new_group", "new_group", "change_group", "change_group", "delete_group"),
    ]
)
SELDOM = st.integers(0, 5).map(lambda number: number == 5)
Draw = Callable[[st.SearchStrategy[Any]], Any]


class Client:
    """An open transaction, and the model of what it must hold and what it began with."""

    def __init__(self, candidate: Candidate, running: Model) -> None:
        self.candidate = candidate
        self.base, self.mine = running.copy(), running.copy()


def seen(snapshot: Snapshot) -> Model:
    """A snapshot as a model: what a client of the API would see."""
    found = Model({path: snapshot.value(ROOT + path) for path in SINGLETONS})
    for path, objects in found.objects().items():
        for key, document in snapshot.objects(ROOT + path).items():
            if not key.startswith("-"):
                objects[key] = {name: value for name, value in document.value.items() if name != "password"}
    return found


def members(client: Client, draw: Draw) -> list[str]:
    keys = list(client.mine.users)
    return sorted(draw(st.sets(st.sampled_from(keys), max_size=2))) if keys else []


class TwoPeople(RuleBasedStateMachine):
    template: Path | None = None

    @initialize()
    def start(self) -> None:
        root = Path(tempfile.mkdtemp(dir=FAST if Path(FAST).is_dir() else None))
        if TwoPeople.template is None:
            TwoPeople.template = Path(tempfile.mkdtemp())
            atexit.register(shutil.rmtree, TwoPeople.template)
            fresh = Rig(TwoPeople.template)
            candidate = fresh.candidate()
            keys = [fresh.post(candidate, USERS, {"name": name}) for name in ("u1", "u2")]
            fresh.post(candidate, GROUPS, {"members": keys, "name": "g1"})
            fresh.commit(candidate)
            fresh.close()
        self.directory = root / "state"
        shutil.copytree(TwoPeople.template, self.directory)
        self.rig = Rig(self.directory).started()
        self.model = seen(self.rig.pipeline.running.snapshot)
        self.clients: dict[str, Client] = {}
        self.acknowledged: list[tuple[int, Model]] = [(2, self.model.copy())]

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        try:
            self.the_history_leads_to_what_runs()
        finally:
            self.rig.close()
            shutil.rmtree(self.directory.parent)

    def client(self, name: str) -> Client:
        """The client's transaction; one opens by itself."""
        if name not in self.clients:
            self.clients[name] = Client(self.rig.candidate(), self.model)
        return self.clients[name]

    # What a client can do to its own copy

    def servers(self, client: Client, draw: Draw) -> None:
        value = [ip(f"198.51.100.{number}") for number in draw(ADDRESSES)]
        self.rig.put(client.candidate, SERVERS, value)
        client.mine.single[SERVERS] = value

    def zone(self, client: Client, draw: Draw) -> None:
        client.mine.single[ZONE] = zone = draw(ZONES)
        self.rig.put(client.candidate, ZONE, zone)

    def web(self, client: Client, draw: Draw) -> None:
        client.mine.single[WEB] = body = {"timeout": draw(st.integers(9, 11))}
        self.rig.put(client.candidate, WEB, body)

    def new_user(self, client: Client, draw: Draw) -> None:
        body = {"name": draw(NAMES)}
        client.mine.users[self.rig.post(client.candidate, USERS, body)] = body

    def rename_user(self, client: Client, draw: Draw) -> None:
        if client.mine.users:
            key = draw(st.sampled_from(list(client.mine.users)))
            client.mine.users[key] = body = {"name": draw(NAMES)}
            self.rig.put(client.candidate, USERS, body, key)

    def delete_user(self, client: Client, draw: Draw) -> None:
        if client.mine.users:
            key = draw(st.sampled_from(list(client.mine.users)))
            self.rig.delete(client.candidate, USERS, key)
            client.mine.delete_user(key)

    def new_group(self, client: Client, draw: Draw) -> None:
        body = {"members": members(client, draw), "name": draw(NAMES)}
        client.mine.groups[self.rig.post(client.candidate, GROUPS, body)] = body

    def change_group(self, client: Client, draw: Draw) -> None:
        if client.mine.groups:
            key = draw(st.sampled_from(list(client.mine.groups)))
            change = draw(st.sampled_from([{"name": draw(NAMES)}, {"members": members(client, draw)}]))
            client.mine.groups[key] = body = {**client.mine.groups[key], **change}
            self.rig.put(client.candidate, GROUPS, body, key)

    def delete_group(self, client: Client, draw: Draw) -> None:
        if client.mine.groups:
            key = draw(st.sampled_from(list(client.mine.groups)))
            self.rig.delete(client.candidate, GROUPS, key)
            del client.mine.groups[key]

    @rule(name=CLIENTS, edits=st.lists(EDITS, min_size=1, max_size=4), data=st.data())
    def write(self, name: str, edits: list[str], data: st.DataObject) -> None:
        for what in edits:
            getattr(self, what)(self.client(name), data.draw)

    @rule(what=EDITS, data=st.data())
    def somebody_else_commits(self, what: str, data: st.DataObject) -> None:
        """A third person, who changes one thing and commits it at once."""
        self.write("admin", [what], data)
        self.commit("admin")
        self.clients.pop("admin", None)

    # How it ends

    @rule(name=CLIENTS, really=SELDOM)
    def discard(self, name: str, really: bool) -> None:
        if really:
            self.clients.pop(name, None)

    @rule(first=CLIENTS)
    def both_commit(self, first: str) -> None:
        for name in (first, "joe" if first == "jane" else "jane"):
            self.commit(name)

    @rule(name=CLIENTS)
    def commit(self, name: str) -> None:
        client = self.clients.get(name)
        if client is None:
            return
        result, collisions = merged(client.base, client.mine, self.model)
        number = self.rig.number
        revision, collided, refused = None, set[str](), False
        try:
            revision = self.rig.commit(client.candidate, user=name).revision
        except MergeConflict as conflict:
            collided = {collision.path for collision in conflict.collisions}
        except SemanticError:
            refused = True
        assert collided == collisions
        assert refused == (not collisions and bool(result.faults()))
        if revision is None:
            return
        assert revision == self.rig.number == number + (result != self.model)
        self.model = result
        del self.clients[name]
        self.acknowledged.append((self.rig.number, result.copy()))

    @rule(name=CLIENTS)
    def commit_that_the_host_does_not_take(self, name: str) -> None:
        client = self.clients.get(name)
        if client is None:
            return
        result, collisions = merged(client.base, client.mine, self.model)
        touches = any(result.single[path] != self.model.single[path] for path in (SERVERS, ZONE))
        if collisions or result.faults() or not touches:
            return
        self.rig.host.fail_verify = True
        with pytest.raises(ApplyFailed) as failed:
            self.rig.commit(client.candidate, user=name)
        self.rig.host.fail_verify = False
        assert failed.value.restored

    @rule(really=SELDOM)
    def restart(self, really: bool) -> None:
        """Transactions are gone, everything else is as it was."""
        if really:
            self.rig, self.clients = self.rig.restarted(), {}

    # What holds whatever they do

    @invariant()
    def running_is_what_the_model_says(self) -> None:
        found = seen(self.rig.pipeline.running.snapshot)
        assert found == self.model
        assert [list(objects) for objects in found.objects().values()] == [list(o) for o in self.model.objects().values()]

    @invariant()
    def each_sees_the_own_changes_and_nobody_elses(self) -> None:
        for client in self.clients.values():
            assert seen(client.candidate.snapshot) == client.mine
            assert seen(client.candidate.base.snapshot) == client.base
            assert bool(list(client.candidate.edits())) == (client.mine != client.base)

    @invariant()
    def the_host_is_as_running_says(self) -> None:
        assert self.rig.sources() == sources(ntp_servers.NODE.parse(self.model.single[SERVERS])).encode()
        assert self.rig.host.files.entries["/etc/timezone"].content == f"{self.model.single[ZONE]}\n".encode()
        assert self.rig.pipeline.unknown is None
        assert self.rig.store.intent() is None

    def the_history_leads_to_what_runs(self) -> None:
        store = self.rig.store
        assert store.check() == []
        head = store.head()
        assert isinstance(head, Revision)
        assert head.number == self.rig.number
        state: dict[Any, bytes] = {}
        replayed: dict[int, dict[Any, bytes]] = {}
        for number in range(1, head.number + 1):
            for edit in store.edits(number):
                assert state.get(edit.place) == edit.old
                state = {place: body for place, body in state.items() if place != edit.place}
                state |= {edit.place: edit.new} if edit.new is not None else {}
            replayed[number] = state
        assert state == {place: body for place, _, body in store.documents()}
        for number, model in self.acknowledged:
            keys = {place.key for place in replayed[number] if place.path.removeprefix(ROOT) == USERS}
            assert {key for key in keys if not key.startswith("-")} == set(model.users)


TestTwoPeople = TwoPeople.TestCase
TestTwoPeople.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
