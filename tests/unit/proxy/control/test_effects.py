from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.proxy import messages
from doorward.proxy.control import effects
from doorward.sessions.ending import DECIDING, Entered, concerned, why_over
from doorward.transaction.merge import merge
from doorward.tree.snapshot import Snapshot
from tests.unit.proxy.control.site import ALICE_PASSWORD, Configured, Site, configured, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.transaction.rig import Rig

USER = "alice@db1.example.com"


def _off(rig: Rig, candidate: Any, _: Configured) -> None:
    body = {**rig.value("ssh/options"), "service": {"enabled": False}}
    rig.put(candidate, "ssh/options", body)


def _inactive(rig: Rig, candidate: Any, made: Configured) -> None:
    rig.put(candidate, "ssh/connections", {**made.bodies["connection"], "active": False}, made.connection)


def _removed(rig: Rig, candidate: Any, made: Configured) -> None:
    rig.delete(candidate, "ssh/connections", made.connection)


def _no_user(rig: Rig, candidate: Any, made: Configured) -> None:
    rig.put(candidate, "policies/user_databases", {"name": "people", "users": []}, made.database)


def _new_password(rig: Rig, candidate: Any, made: Configured) -> None:
    password = rig.post(candidate, "passwords", {"plain": "another one of alice"})
    body = {"name": "people", "users": [{**made.bodies["alice"], "passwords": [password]}]}
    rig.put(candidate, "policies/user_databases", body, made.database)


def _another_backend(rig: Rig, candidate: Any, made: Configured) -> None:
    body = {**made.bodies["gate"], "backend": {"selection": "accounts"}}
    rig.put(candidate, "ssh/authentication_policies", body, made.authentication)


def _mapped(rig: Rig, candidate: Any, made: Configured) -> None:
    policy = {"name": "m", "rules": [{"gateway_users": ["bob"], "gateway_groups": [], "server_username": "alice"}]}
    mapping = rig.post(candidate, "policies/usermapping_policies", policy)
    body = made.bodies["connection"]
    rig.put(
        candidate, "ssh/connections", {**body, "policies": {**body["policies"], "usermapping_policy": mapping}}, made.connection
    )


def _another_name(rig: Rig, candidate: Any, made: Configured) -> None:
    rig.put(candidate, "ssh/connections", {**made.bodies["connection"], "name": "other"}, made.connection)


def _other_targets(rig: Rig, candidate: Any, made: Configured) -> None:
    domains = [{"domain": {"selection": "domain", "value": "other.example"}, "port": None}]
    body = {**made.bodies["connection"], "server_address": {"selection": "inband", "domains": domains}}
    rig.put(candidate, "ssh/connections", body, made.connection)


ENDING = {
    "service off": _off, "inactive": _inactive, "removed": _removed, "no user": _no_user, "new password": _new_password,
    "another backend": _another_backend, "mapping": _mapped,
}  # fmt: skip
GOING_ON = {"another name": _another_name, "other targets": _other_targets}


@pytest.mark.parametrize("name", [*ENDING, *GOING_ON])
def test_a_session_ends_with_what_let_it_in_and_with_nothing_else(rig: Rig, name: str) -> None:
    made = configured(rig)
    change: Callable[[Any, Any, Configured], None] = {**ENDING, **GOING_ON}[name]

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key = await site.connected(worker)
        candidate = rig.candidate()
        change(rig, candidate, made)
        merged = merge(rig.tree, candidate, rig.pipeline.running)
        warned = site.control.advise(merged)
        assert concerned(merged.edits)
        assert rig.commit(candidate).error is None
        site.control.published()
        if name in GOING_ON:
            assert not warned
            found = site.control.sessions.find(key)
            assert found is not None
            assert not found.ending
            return
        [problem] = warned
        assert problem.code == "sessions_drop"
        assert key in problem.message
        assert (await worker.receive(messages.Terminate)).session == key

    play(rig, scenario)


class Noting(dict[str, Any]):
    """A map that notes the keys that it was asked for."""

    def __init__(self, content: Any) -> None:
        super().__init__(content.items())
        self.asked: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


@pytest.mark.parametrize("backend", ["local", "accounts"])
def test_what_ends_sessions_is_looked_for_where_commits_concern_them(rig: Rig, backend: str) -> None:
    """Whatever is read for it stands below the places whose changes have sessions looked at."""
    made = configured(rig)
    candidate = rig.candidate()
    _mapped(rig, candidate, made)
    if backend == "accounts":
        _another_backend(rig, candidate, made)
    snapshot = merge(rig.tree, candidate, rig.pipeline.running).snapshot
    singletons, collections = Noting(snapshot.singletons), Noting(snapshot.collections)
    noting: Any = Snapshot(singletons, collections, snapshot.referrers)  # type: ignore[arg-type]
    why_over(noting, Entered(made.connection, "alice", frozenset(), "alice"))
    asked = singletons.asked | collections.asked
    assert len(asked) > 5
    assert not [path for path in asked if not path.startswith(DECIDING)]


def test_a_commit_of_anything_else_looks_at_no_session(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        await site.connected(await site.worker())
        candidate = rig.candidate()
        rig.put(candidate, "management/webinterface", {"timeout": 31})
        merged = merge(rig.tree, candidate, rig.pipeline.running)
        monkeypatch.setattr(effects, "revoked", None)
        assert not concerned(merged.edits)
        assert site.control.advise(merged) == []

    play(rig, scenario)


def test_an_account_that_goes_takes_its_sessions_along(rig: Rig) -> None:
    candidate = rig.candidate()
    password = rig.post(candidate, "passwords", {"plain": ALICE_PASSWORD})
    account = rig.post(candidate, "aaa/local_database/users", {"name": "carol", "password": password})
    rig.commit(candidate)
    configured(rig, authentication={"backend": {"selection": "accounts"}})

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        keys = [await site.logged_in(worker, "gu=carol@root@db1.example.com") for _ in range(2)]
        change = rig.candidate()
        another = rig.post(change, "passwords", {"plain": "another one of carol"})
        rig.put(change, "aaa/local_database/users", {"name": "carol", "password": another}, account)
        rig.commit(change)
        site.control.published()
        assert {(await worker.receive(messages.Terminate)).session for _ in keys} == set(keys)

    play(rig, scenario)


def test_what_is_revoked_between_password_and_row_lets_nobody_in(rig: Rig) -> None:
    made = configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        candidate = rig.candidate()
        _no_user(rig, candidate, made)
        rig.commit(candidate)
        decision = await worker.ask(messages.Decision, messages.TryPassword, key, user=USER, password=ALICE_PASSWORD)
        assert decision.outcome == "end"
        assert not site.catalogue.rows

    play(rig, scenario)


def test_a_session_that_was_told_to_end_gets_nothing_more(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key = await site.logged_in(worker)
        candidate = rig.candidate()
        _off(rig, candidate, None)  # type: ignore[arg-type]
        rig.commit(candidate)
        site.control.published()
        target = await worker.ask(messages.TargetAnswer, messages.FindTarget, key, user=USER, method="password")
        assert target.error
        assert not target.addresses

    play(rig, scenario)
