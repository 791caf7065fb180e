"""Too many refused logins from one address block logins from it (section 7.7). Every test has addresses of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.wire import LOGIN, NTP, Caller
from tests.support.server import PASSWORD, QUICK, Server, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which a refused login takes no time."""
    with running(tmp_path_factory.mktemp("guessing") / "state", launcher=QUICK) as server:
        yield server


def blocked(server: Server, address: str) -> Caller:
    """A client whose address has failed ten times."""
    caller = Caller(server, address=address)
    for _ in range(10):
        caller.login(password="wrong").is_error(401, "AuthenticationFailure")
    return caller


def test_ten_failures_block_even_the_right_password(server: Server) -> None:
    caller = blocked(server, "127.0.2.1")
    answer = caller.login(password=PASSWORD).is_error(429, "TooManyRequests")
    seconds = int(answer.header("Retry-After"))
    assert 240 <= seconds <= 300
    assert answer.error == {
        "details": {"retry_after": seconds},
        "message": "Too many failed logins from this address.",
        "type": "TooManyRequests",
    }
    assert not answer.all("Set-Cookie")
    assert not answer.all("WWW-Authenticate")
    caller.close()


def test_tries_while_blocked_do_not_prolong(server: Server) -> None:
    caller = blocked(server, "127.0.2.2")
    waits = [
        int(caller.login(password=word).is_error(429, "TooManyRequests").header("Retry-After")) for word in ("x", PASSWORD) * 6
    ]
    assert waits == sorted(waits, reverse=True)
    caller.close()


def test_live_sessions_and_requests_without_credentials_go_on(server: Server) -> None:
    inside = Caller(server, address="127.0.2.3")
    inside.login().ok()
    stranger = blocked(server, "127.0.2.3")
    inside.get(NTP).ok()
    inside.put(NTP, []).ok()
    inside.get(LOGIN).ok()
    stranger.get(LOGIN).is_error(401, "Unauthenticated")
    stranger.get(f"{LOGIN}/login_methods").ok()
    inside.login().is_error(429, "TooManyRequests")
    inside.get(NTP).ok()
    inside.close()
    stranger.close()


def test_other_addresses_are_not_blocked(server: Server) -> None:
    stranger = blocked(server, "127.0.2.4")
    neighbour = Caller(server, address="127.0.2.5")
    neighbour.login().ok()
    forwarded = {"X-Forwarded-For": "127.0.2.5", "Forwarded": "for=127.0.2.5", "X-Real-IP": "127.0.2.5"}
    stranger.get(LOGIN, headers={"Authorization": "Basic x", **forwarded}).is_error(429, "TooManyRequests")
    neighbour.close()
    stranger.close()


@pytest.mark.parametrize(
    ("address", "target", "authorization"),
    [
        ("127.0.2.6", LOGIN, "Basic broken"),
        ("127.0.2.8", f"{LOGIN}?login_method=local", "Basic bm9ib2R5Om5vdGhpbmc="),
    ],
    ids=["malformed", "unknown account"],
)
def test_every_refusal_counts(server: Server, address: str, target: str, authorization: str | None) -> None:
    caller = Caller(server, address=address)
    headers = {"Authorization": authorization} if authorization else {}
    for _ in range(10):
        caller.get(target, headers=headers).is_error(401, "AuthenticationFailure")
    caller.get(target, headers=headers).is_error(429, "TooManyRequests")
    caller.close()


@pytest.mark.parametrize(
    ("address", "target", "authorization"),
    [
        ("127.0.2.7", f"{LOGIN}?type=x509", None),
        ("127.0.2.12", f"{LOGIN}?type=x509", "Basic d3Jvbmc6d3Jvbmc="),
        ("127.0.2.13", LOGIN, "Basic"),
        ("127.0.2.14", LOGIN, ""),
    ],
    ids=["no certificate", "no certificate, credentials ignored", "no credentials", "empty"],
)
def test_what_presents_no_credentials_locks_nobody_out(
    server: Server, address: str, target: str, authorization: str | None
) -> None:
    """A page in a browser can make such requests without its user's knowledge."""
    caller = Caller(server, address=address)
    headers = {"Authorization": authorization} if authorization is not None else {}
    for _ in range(12):
        caller.get(target, headers=headers).is_error(401, "AuthenticationFailure")
    caller.login().ok()
    assert not any(address in line and "login_failure" in line for line in server.errors)
    caller.close()


def test_requests_without_credentials_and_wrong_queries_do_not_count(server: Server) -> None:
    caller = Caller(server, address="127.0.2.9")
    for _ in range(12):
        caller.get(LOGIN).is_error(401, "Unauthenticated")
        caller.login(password="wrong", target=f"{LOGIN}?login_method=none").is_error(400, "InvalidQuery")
        caller.get(NTP, headers={"Authorization": "Basic wrong"}).is_error(401, "Unauthenticated")
    caller.login().ok()
    caller.close()


def test_success_does_not_reset_the_count(server: Server) -> None:
    caller = Caller(server, address="127.0.2.10")
    for _ in range(9):
        caller.login(password="wrong").is_error(401, "AuthenticationFailure")
    caller.login().ok()
    caller.login(password="wrong").is_error(401, "AuthenticationFailure")
    caller.login().is_error(429, "TooManyRequests")
    caller.close()


def test_block_comes_before_the_query(server: Server) -> None:
    caller = blocked(server, "127.0.2.11")
    caller.login(target=f"{LOGIN}?type=none").is_error(429, "TooManyRequests")
    caller.get(f"{LOGIN}?type=none").is_error(400, "InvalidQuery")
    caller.close()
