"""``/api/live``: what consoles are told as it changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.server import Client, Server, until


@contextmanager
def events(client: Client) -> Iterator[Iterator[dict[str, Any]]]:
    """The states that are told, one after another."""
    with client.http.stream("GET", "/api/live") as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        yield (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: "))


def test_it_tells_what_runs_and_what_awaits_its_confirmation(server: Server) -> None:
    writer = server.login()
    with events(server.login()) as states:
        first = next(states)
        assert first["trial"] is None
        assert 0 < first["login"] <= 600
        writer.post("/api/transaction")
        zone = "Europe/Budapest" if writer.body("/api/configuration/datetime/timezone") != "Europe/Budapest" else "Europe/Vienna"
        writer.put("/api/configuration/datetime/timezone", zone)
        answer = writer.put("/api/transaction", {"status": "commit", "confirm_seconds": 300})
        assert answer.status_code == 200, answer.text
        told = next(state for state in states if state["trial"])
        trial = told["trial"]
        assert (told["revision"], trial["revision"], trial["user"]) == (first["revision"] + 1, told["revision"], "admin")
        assert 0 < trial["remaining"] <= 300
        about = server.login().get("/api/transaction").json()["meta"]
        assert (about["confirm_user"], about["confirm_revision"]) == ("admin", trial["revision"])
        assert abs(about["confirm_deadline"] - trial["deadline"]) <= 1
        writer.put("/api/transaction", {"status": "confirm"})
        assert next(state for state in states if not state["trial"])["revision"] == told["revision"]


def test_it_does_not_extend_the_login_session(server: Server) -> None:
    client = server.login()
    with events(client) as states:
        assert next(states)["login"] > 0
    before = client.get("/api/info").json()["meta"]["remaining_seconds"]
    later = until(lambda: (now := client.get("/api/info").json()["meta"]["remaining_seconds"]) < before and now)
    with events(client) as states:
        assert next(states)["login"] <= later


def test_it_ends_with_the_login_session(server: Server) -> None:
    client = server.login()
    other = server.client()
    other.http.cookies = client.http.cookies
    with client.http.stream("GET", "/api/live") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: state"
        other.delete("/api/authentication")
        assert "event: over" in list(lines)


def test_nobody_else_is_told_anything(server: Server) -> None:
    assert server.client().get("/api/live").status_code == 401


def test_it_tells_how_often_each_topic_has_changed(server: Server) -> None:
    client = server.login()
    with events(server.login()) as states:
        first = next(states)["news"]
        assert set(first) == {"cluster", "health", "runs", "sessions"}
        client.post("/api/troubleshooting/support-bundle", {})
        told = next(state["news"] for state in states if state["news"] != first)
    assert told["runs"] > first["runs"]
    assert told["sessions"] == first["sessions"]


def test_requests_in_the_background_do_not_extend_the_login_session(server: Server) -> None:
    client = server.login()
    before = client.get("/api/info").json()["meta"]["remaining_seconds"]

    def seconds() -> int:
        background = {"X-Background": "1"}
        answer = client.get("/api/configuration/datetime/timezone", headers=background).json()
        return int(answer["meta"]["remaining_seconds"])

    assert until(lambda: (now := seconds()) < before and now)
    assert seconds() < before
    assert client.get("/api/configuration/datetime/timezone").json()["meta"]["remaining_seconds"] == before
