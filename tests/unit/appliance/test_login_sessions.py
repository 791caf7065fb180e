"""Login sessions live in the event loop, commits and workers do not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from doorward.access.tokens import TokenRequest, Tokens
from doorward.appliance.login_sessions import LoginSessions
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.support.accounts import cluster_role, logins


class Logins:
    """Counts how often sessions were looked at."""

    expired = 0

    def expire(self) -> None:
        self.expired += 1


def test_work_for_an_event_loop_that_has_ended_is_let_go() -> None:
    logins: Any = Logins()
    tokens: Any = SimpleNamespace()
    sessions = LoginSessions(logins, tokens)
    sessions.loop = asyncio.new_event_loop()
    sessions._expire()
    assert logins.expired == 0
    sessions.loop.run_until_complete(asyncio.sleep(0))
    sessions.loop.close()
    sessions._expire()
    assert logins.expired == 1


def test_what_stands_for_the_login_of_a_token_ends_with_it(tmp_path: Path) -> None:
    jane = cluster_role("jane")
    store = SqliteStore(tmp_path / "doorward.db", Vault.at(tmp_path / "data.key", create=True))
    tokens, open_ones = Tokens(store, {jane.key: jane}.get), logins(lambda: 600, lambda: 0.0, lambda: 3600)
    sessions = LoginSessions(open_ones, tokens)
    sessions.loop = asyncio.new_event_loop()
    own, _ = open_ones.open(jane)
    (short, text), (_, other_text) = (tokens.make(jane, TokenRequest(name, 1, "own", (), ())) for name in ("short", "other"))
    stand_ins = []
    for each in (text, other_text):
        grant = tokens.find(each, "192.0.2.1")
        assert grant is not None
        stand_ins.append(open_ones.by_token(grant))
    tokens.remove(short)
    sessions.loop.run_until_complete(asyncio.sleep(0))
    sessions.loop.close()
    store.close()
    assert [login.ended for login in (own, *stand_ins)] == [False, True, False]
