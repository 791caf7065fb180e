"""Sessions that run: who may see, lock, end and follow them, and what a viewer gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doorward.access.rights import Rights
from doorward.api import errors
from doorward.api.audit.service import AuditService
from doorward.api.domain_errors import response_to
from doorward.api.errors import ApiError
from doorward.api.request import Request, StreamedBody
from doorward.api.sessions import follow
from doorward.api.sessions.follow import LiveScreen
from doorward.api.sessions.live import LiveCollection, OneLive
from doorward.recording.records import Record, RecordKind, encode_json
from doorward.sessions.catalogue.results import ItemRange
from doorward.sessions.live import LiveSession, NotLiveError, ShownEvent
from tests.support.recorded import key_of, row, tell, trail
from tests.unit.api.audit.parts import ADMIN, NOBODY, SEARCH, FakeLive, request, service
from tests.unit.sessions.test_audience import line, snapshot

KEY = key_of(1)
LIVE = f"/api/sessions/live/{KEY}"
AUDITOR, CHIEF = Rights(groups=("auditors",)), Rights(groups=("chiefs",))
LINES = [line("auditors", "audit"), line("chiefs", "authorize")]


class Site:
    def __init__(self, state: Path) -> None:
        self.live = FakeLive(LiveSession(KEY, 1, 10, 5, row().began, watchers=("bob",)))
        self.service: AuditService = service(state, snapshot(linux=LINES), self.live)
        tell(self.service.catalogue, row(1, trail=f"{KEY}.dwr"), end=None)
        tell(self.service.catalogue, row(2, recipients=("ab" * 32,)), end=None)

    def do(self, path: str, rights: Rights = ADMIN, method: str = "GET", body: bytes = b"") -> Any:
        one = request(path, rights, method=method, body=body, content_length=str(len(body)))
        resource = OneLive(self.service, KEY) if path.startswith(LIVE) else LiveCollection(self.service)
        allowed = resource.may_read(one) if method == "GET" else resource.may_write(one)
        if not allowed:
            raise errors.unauthorized(one.href, write=method != "GET")
        return asyncio.run(getattr(resource, method.lower())(one)).content


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.service.catalogue.close()


def refused(site: Site, status: int, *asked: Any, **more: Any) -> ApiError:
    """What is answered to a request that is refused."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the table knows which
        site.do(*asked, **more)
    refusal = response_to(caught.value, "id")
    assert refusal is not None
    assert refusal.status == status
    return refusal


def test_what_runs_is_listed(site: Site) -> None:
    (item,) = site.do("/api/sessions/live", AUDITOR)["items"]
    body = item["body"]
    assert (item["key"], item["meta"]["href"]) == (KEY, LIVE)
    assert (body["channels"], body["bytes_down"], body["watchers"], body["locked"]) == (1, 10, ["bob"], False)
    assert (body["gateway_username"], body["server"]["name"], body["session_id"]) == (
        "jane",
        "db1.example.com",
        f"svc/{KEY}/linux:1",
    )
    assert site.do(LIVE, AUDITOR)["body"] == body


@pytest.mark.parametrize(
    ("rights", "sees", "acts"),
    [(NOBODY, 403, 403), (AUDITOR, 200, 403), (CHIEF, 200, 200), (SEARCH, 200, 403), (ADMIN, 200, 200)],
)
def test_rights(site: Site, rights: Rights, sees: int, acts: int) -> None:
    for status, method, body in ((sees, "GET", b""), (acts, "PUT", b'{"locked":true}'), (acts, "DELETE", b"")):
        if status == 200:
            site.do(LIVE, rights, method, body)
        else:
            refused(site, status, LIVE, rights, method, body)


def test_it_is_locked_and_goes_on(site: Site) -> None:
    assert site.do(LIVE, method="PUT", body=b'{"locked":true}')["body"]["locked"] is True
    assert site.do(LIVE, method="PUT", body=b'{"locked":false}')["body"]["locked"] is False
    assert site.live.asked == [("lock", KEY, "True"), ("lock", KEY, "False")]
    refused(site, 400, LIVE, method="PUT", body=b'{"locked":"yes"}')
    refused(site, 400, LIVE, method="PUT", body=b"{}")


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        (LIVE, b'{"reason":"wrong server"}', "wrong server"),
        (f"{LIVE}?reason=go%20now", b"", "go now"),
        (LIVE, b"", "Ended by an administrator."),
    ],
)
def test_it_is_ended_with_a_reason(site: Site, path: str, body: bytes, reason: str) -> None:
    assert site.do(path, method="DELETE", body=body)["meta"]["href"] == LIVE
    assert site.live.asked == [("end", KEY, reason, "admin")]
    refused(site, 404, LIVE, method="DELETE")


@pytest.mark.parametrize(
    ("path", "body"), [(LIVE, b'{"reason":"a\\u001b[31m"}'), (f"{LIVE}?reason=%1b", b""), (LIVE, b'{"reason":""}')]
)
def test_a_reason_steers_no_terminal(site: Site, path: str, body: bytes) -> None:
    refused(site, 400, path, method="DELETE", body=body)
    assert site.live.asked == []


# Following


class Viewer:
    """Follows, piece by piece."""

    def __init__(self, site: Site, one: Request, key: str = KEY) -> None:
        self._site, self.request, self._key = site, one, key
        self.pieces: Any = None

    async def begin(self) -> None:
        answer = await LiveScreen(self._site.service, self._key).get(self.request)
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert isinstance(answer.content, StreamedBody)
        self.pieces = answer.content.pieces

    async def events(self, count: int) -> list[tuple[str, Any]]:
        """The next events that are any."""
        found: list[tuple[str, Any]] = []
        while len(found) < count:
            piece = (await anext(self.pieces) or b"").decode()
            for block in piece.split("\n\n"):
                fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
                if "data" in fields:
                    found.append((fields.get("event") or fields["id"], json.loads(fields["data"])))
        return found


def shown(*events: tuple[int, str, bytes], channel: int = 1) -> list[ShownEvent]:
    return [ShownEvent(channel, at, code, data) for at, code, data in events]


def test_a_viewer_gets_the_screen_and_what_follows(site: Site) -> None:
    async def watch() -> None:
        viewer = Viewer(site, request(f"{LIVE}/follow", AUDITOR, user="joe"))
        for event in shown((5000, "r", b"80x24"), (5000, "o", b"$ "), (5100, "o", b"gr\xc3"), (5200, "o", b"\xbcn\x1b[0m")):
            site.live.shown.put_nowait(event)
        site.live.shown.put_nowait(ShownEvent(2, 5300, "o", b"another channel"))
        site.live.shown.put_nowait(ShownEvent(1, 5400, "r", b"90x30"))
        site.live.shown.put_nowait(None)
        await viewer.begin()
        assert await viewer.events(5) == [
            ("start", {"channel": 1, "height": 24, "timestamp": row().began // 1000, "version": 2, "width": 80}),
            ("1:5000", [5.0, "o", "$ "]),
            ("1:5100", [5.1, "o", "gr"]),
            ("1:5200", [5.2, "o", "ün\x1b[0m"]),
            ("1:5400", [5.4, "r", "90x30"]),
        ]
        assert (await viewer.events(1))[0][0] == "end"
        with pytest.raises(StopAsyncIteration):
            await anext(viewer.pieces)
        assert site.live.asked == [("follow", KEY, "1", "joe")]
        assert site.live.watching == 0

    asyncio.run(watch())


def write_trail(site: Site, *texts: bytes) -> None:
    """Let the session have a trail with some output, a second apart."""
    request = encode_json({"columns": 100, "rows": 30, "type": "pty-req"})
    records = [Record(0, RecordKind.OPEN, 1, encode_json({"type": "session-shell"})), Record(0, RecordKind.REQUEST, 1, request)]
    records += [Record(1000 * at, RecordKind.OUTPUT, 1, text) for at, text in enumerate(texts, 1)]
    made = trail([*records, Record(1000 * len(texts) + 500, RecordKind.EVENT, 0, encode_json({"event": "shown"}))])
    directory = site.service.trails.directory
    directory.mkdir(exist_ok=True)
    (directory / f"{KEY}.dwr").write_bytes(made)


async def seen(site: Site, query: str, count: int) -> list[tuple[str, Any]]:
    viewer = Viewer(site, request(f"{LIVE}/follow{query}", AUDITOR, user="joe"))
    await viewer.begin()
    found = await viewer.events(count)
    await viewer.pieces.aclose()
    return found


def test_a_viewer_may_begin_at_the_beginning(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What there was comes from the trail, up to the moment that the viewer came; then what there is."""
    write_trail(site, b"one ", b"two ")
    site.live.at_follow = lambda: write_trail(site, b"one ", b"two ", b"three ", b"later")
    for event in shown((3500, "r", b"100x30"), (3500, "o", b"one two three"), (3600, "o", b" four")):
        site.live.shown.put_nowait(event)
    found = asyncio.run(seen(site, "?from=0", 7))
    assert found[0][1]["width"] == 100
    assert [one[1] for one in found[1:]] == [
        [1.0, "o", "one "],
        [2.0, "o", "two "],
        [3.0, "o", "three "],
        [3.5, "r", "100x30"],
        [3.5, "o", "one two three"],
        [3.6, "o", " four"],
    ]
    assert had(site) == ["follow"]


def test_a_viewer_may_begin_in_between(site: Site) -> None:
    write_trail(site, b"one ", b"two ", b"three ")
    site.live.shown.put_nowait(ShownEvent(1, 3500, "o", b"now"))
    found = asyncio.run(seen(site, "?from=2.5&channel=1", 4))
    assert [one[0] for one in found] == ["start", "1:2500", "1:3000", "1:3500"]
    assert "one two" in found[1][1][2]
    assert site.live.watching == 0  # who has gone


def test_a_session_that_ends_meanwhile_is_shown_to_its_end(site: Site) -> None:
    write_trail(site, b"one ")

    def end() -> None:
        write_trail(site, b"one ", b"two ")
        raise NotLiveError

    site.live.at_follow = end
    found = asyncio.run(seen(site, "?from=0", 4))
    assert [one[1] for one in found[1:]] == [[1.0, "o", "one "], [2.0, "o", "two "], {"reason": "The session is over."}]


def test_without_a_trail_there_is_no_beginning(site: Site) -> None:
    with pytest.raises(ApiError) as caught:
        asyncio.run(seen(site, "?from=0", 1))
    assert caught.value.status == 404
    with pytest.raises(ApiError) as caught:
        asyncio.run(seen(site, "?from=soon&channel=0", 1))
    assert [one["parameter"] for one in caught.value.details["errors"]] == ["channel", "from"]
    assert had(site) == ["follow"]


def had(site: Site) -> list[str]:
    """What callers had of the session, as it was written down."""
    asyncio.run(site.service.catalogue.synced())
    with site.service.catalogue.looking() as look:
        return [one.what for one in look.downloads(1, ItemRange(99))[0]]


def test_who_loses_the_right_is_shown_no_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "CHECK_SECONDS", 0.01)

    async def watch() -> None:
        viewer = Viewer(site, request(f"{LIVE}/follow", AUDITOR))
        site.live.shown.put_nowait(ShownEvent(1, 1, "r", b"80x24"))
        await viewer.begin()
        await viewer.events(1)
        viewer.request.login.rights = NOBODY  # type: ignore[union-attr, misc]
        assert await viewer.events(1) == [("end", {"reason": "This account lost the right to it."})]
        with pytest.raises(StopAsyncIteration):
            await anext(viewer.pieces)
        assert site.live.watching == 0

    asyncio.run(watch())


def test_who_is_logged_out_is_shown_no_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "CHECK_SECONDS", 0.01)

    async def watch() -> None:
        viewer = Viewer(site, request(f"{LIVE}/follow", AUDITOR))
        await viewer.begin()

        def ended() -> None:
            raise errors.unauthenticated(LIVE)

        viewer.request.check_again = ended
        assert await viewer.events(1) == [("end", {"reason": "Log in first."})]

    asyncio.run(watch())


def test_who_goes_away_watches_no_more(site: Site) -> None:
    async def watch() -> None:
        viewer = Viewer(site, request(f"{LIVE}/follow", AUDITOR))
        site.live.shown.put_nowait(ShownEvent(1, 1, "r", b"80x24"))
        await viewer.begin()
        await viewer.events(1)
        assert site.live.watching == 1
        await viewer.pieces.aclose()
        assert site.live.watching == 0

    asyncio.run(watch())


def test_silence_is_kept_alive(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(follow, "KEEPALIVE", 0.02)

    async def watch() -> None:
        viewer = Viewer(site, request(f"{LIVE}/follow", AUDITOR))
        await viewer.begin()
        assert await anext(viewer.pieces) == b":\n\n"
        await viewer.pieces.aclose()

    asyncio.run(watch())


@pytest.mark.parametrize(
    ("path", "key", "rights", "status"),
    [
        (f"{LIVE}/follow", KEY, CHIEF, 404),
        (f"{LIVE}/follow", KEY, NOBODY, 404),
        (f"{LIVE}/follow?channel=x", KEY, ADMIN, 400),
        (f"/api/sessions/live/{key_of(2)}/follow", key_of(2), ADMIN, 404),
        (f"/api/sessions/live/{key_of(9)}/follow", key_of(9), ADMIN, 404),
    ],
)
def test_what_can_not_be_followed(site: Site, path: str, key: str, rights: Rights, status: int) -> None:
    with pytest.raises(ApiError) as caught:
        asyncio.run(Viewer(site, request(path, rights), key).begin())
    assert caught.value.status == status


def test_an_encrypted_session_is_not_followed(site: Site) -> None:
    site.live.sessions[key_of(2)] = LiveSession(key_of(2), is_followable=False)
    with pytest.raises(ApiError) as caught:
        asyncio.run(Viewer(site, request("/api/sessions/live/x/follow"), key_of(2)).begin())
    assert (caught.value.status, caught.value.details["code"]) == (409, "encrypted_trail")
    assert caught.value.details["certificates"] == ["ab" * 32]


def test_there_is_room_for_so_many_viewers(site: Site) -> None:
    site.live.is_full = True
    with pytest.raises(ApiError) as caught:
        asyncio.run(Viewer(site, request(f"{LIVE}/follow")).begin())
    assert caught.value.status == 503


def test_a_head_watches_nothing(site: Site) -> None:
    asyncio.run(LiveScreen(site.service, KEY).get(request(f"{LIVE}/follow", method="HEAD")))
    assert site.live.asked == []
