"""Every node and every method, for each state that a login or a token can be in (protocol, section 7; trust, section 4)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.walk import tree
from tests.contract.wire import LOGIN, Caller, Reply, logged_in
from tests.support.server import Server

OWN = "/api/user/tokens"
READING, CHANGING = ("GET", "HEAD"), ("PUT", "POST", "DELETE")
LIMIT = "/api/configuration/datetime"
OUTSIDE = ("no login", "an unknown login", "a login that ended", "no such token", "a removed token", "a token from elsewhere")
INSIDE = ("a login", "a token", "a reading token", "a token for some paths")


class States:
    """Callers in every state, over one connection."""

    def __init__(self, server: Server) -> None:
        self._caller, self._admin = Caller(server), logged_in(server)
        ended = logged_in(server)
        self._cookies = {
            "an unknown login": "A" * len(ended.cookie),
            "a login that ended": ended.cookie,
            "a login": self._admin.cookie,
        }
        ended.delete(LOGIN).ok()
        ended.close()
        removed = self._token()
        self._tokens = {
            "no such token": f"dw_{'A' * 43}",
            "a removed token": removed[1],
            "a token from elsewhere": self._token(networks=["192.0.2.0/24"])[1],
            "a token": self._token()[1],
            "a reading token": self._token(rights="read")[1],
            "a token for some paths": self._token(paths=[LIMIT])[1],
        }
        self._admin.delete(f"{OWN}/{removed[0]}").ok()

    def _token(self, **wanted: object) -> tuple[str, str]:
        made = self._admin.post(OWN, {"name": "of a state", "expires_days": 1, "rights": "own"} | wanted).ok(201).json
        return made["key"], made["body"]["token"]

    def ask(self, state: str, verb: str, path: str) -> Reply:
        """Ask in a state. What is sent to be written is nothing that any node takes."""
        self._caller.cookie = self._cookies.get(state, "")
        headers = {"Authorization": f"Bearer {self._tokens[state]}"} if state in self._tokens else {}
        return self._caller.call(verb, path, *(["no such value"] if verb in {"PUT", "POST"} else []), headers=headers)

    def close(self) -> None:
        self._caller.close()
        self._admin.close()


@pytest.fixture(scope="module")
def states(server: Server) -> Iterator[States]:
    made = States(server)
    yield made
    made.close()


PATHS = [endpoint.path for endpoint in tree()]
VERBS = (*READING, *CHANGING)


@pytest.mark.parametrize("state", OUTSIDE)
def test_without_a_login_that_lives_every_node_is_closed(states: States, state: str) -> None:
    for number, path in enumerate(PATHS, OUTSIDE.index(state)):  # every node meets nearly every method in one of the states
        verb = VERBS[number % len(VERBS)]
        reply = states.ask(state, verb, path)
        assert reply.status == 401, (verb, path, reply.body)


@pytest.mark.parametrize("path", PATHS)
def test_a_login_and_each_token_reach_what_they_are_for(states: States, path: str) -> None:
    exists = {verb.strip() for verb in states.ask("a login", "OPTIONS", path).header("Allow").split(",")}
    for state in INSIDE:
        reaches = state != "a token for some paths" or path == LIMIT or path.startswith(f"{LIMIT}/")
        for verb in VERBS:
            reply = states.ask(state, verb, path)
            what = (state, verb, reply.status, reply.body)
            if verb not in exists:
                assert reply.status in ({405} if reaches else {403, 405}), what
            elif not reaches or (state == "a reading token" and verb in CHANGING):
                assert reply.status == 403, what
                if verb != "HEAD":
                    assert reply.error["details"]["code"] == "token_limits", what
            elif verb in READING:
                assert reply.status == 200, what
            else:
                assert reply.status in {400, 403, 404}, what
                assert reply.error["details"].get("code") != "token_limits", what
