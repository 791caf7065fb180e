"""One server for the tests of a module, and login sessions on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.contract.wire import Caller, logged_in, serving
from tests.support.server import PASSWORD, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("contract") / "state") as server:
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


@pytest.fixture
def admin(login: Callable[..., Caller]) -> Caller:
    """A login session of admin without transaction."""
    return login()
