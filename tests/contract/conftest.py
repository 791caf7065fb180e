"""One server for the tests of a module, and login sessions on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.contract.wire import Caller, logged_in, resumed
from tests.support.server import PASSWORD, Server, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("contract") / "state") as server:
        yield server


@pytest.fixture
def anybody(server: Server) -> Iterator[Caller]:
    """A client that is not logged in."""
    caller = Caller(server)
    yield caller
    caller.close()


@pytest.fixture
def login(server: Server) -> Iterator[Callable[..., Caller]]:
    """Log in: ``login()`` is another login session of admin, ``login("jane", password)`` one of jane."""
    callers: list[Caller] = []

    def more(user: str = "admin", password: str = PASSWORD, *, address: str = "127.0.0.1") -> Caller:
        callers.append(logged_in(server, user, password, address=address))
        return callers[-1]

    yield more
    for caller in callers:
        caller.close()


@pytest.fixture(scope="module")
def shared_cookie(server: Server) -> str:
    caller = logged_in(server)
    caller.close()
    return caller.cookie


@pytest.fixture
def admin(server: Server, shared_cookie: str) -> Iterator[Caller]:
    """A login session of admin without transaction; the same one for all tests of a module, for logging in takes time."""
    with resumed(server, shared_cookie) as caller:
        yield caller
