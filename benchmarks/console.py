"""The web console in Chromium: first load, a review of 500 changes, 10,000 objects, a recording of 4 hours, 300 idle consoles.

``python -m benchmarks.console [PART …]`` prints the figures of docs/performance.md, of all parts if none is named. It needs
chromium, and no network.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Page, expect

from doorward.recording.records import Record, RecordKind, encode_json
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.support.recorded import key_of, put_trail, row, tell, trail
from tests.support.server import Server, running
from tests.system.browsing import Visits, chromium, go, visits

HOURS, CHUNK, CHUNKS = 4, 4_096, 16_500
"""Of a recording: 67 MB in four hours."""
CHANGES, OBJECTS = 500, 10_000
CONSOLES, SETTLING_SECONDS, IDLE_SECONDS = 300, 15, 60
"""Of consoles: how many, how long they are left alone first (start and logins are tidied up then), and how long measured."""
WATCH = """() => {
    const screen = document.querySelector('.ap-term');
    window.sought = new Promise((tell) => {
        const watch = () => {
            const [began, before] = [performance.now(), screen.innerText];
            const look = () => (screen.innerText === before ? requestAnimationFrame(look) : tell(performance.now() - began));
            look();
        };
        addEventListener('mousedown', watch, {capture: true, once: true});
    });
}"""
"""Has a page promise the milliseconds between the next click and another screen of the terminal."""
SHOWN = """() => new Promise((tell) => {
    const look = () => {
        const screen = document.querySelector('.ap-term');
        if (screen && screen.innerText.includes('build of a part')) tell(performance.now());
        else requestAnimationFrame(look);
    };
    look();
})"""
"""Promises the milliseconds since a page was asked for, once its terminal shows text. By the clock of the page: Playwright
pauses between its looks, for up to half a second."""
SETTLED_MILLISECONDS = 1_000
"""Within which a page has what it asks for. The stream of events stays open, so the network is never idle."""
USERS = "/api/configuration/aaa/local_database/users"


def flood() -> Iterator[Record]:
    """A terminal that is written to for hours."""
    yield Record(0, RecordKind.OPEN, 1, encode_json({"type": "session-shell"}))
    yield Record(0, RecordKind.REQUEST, 1, encode_json({"columns": 80, "rows": 24, "term": "xterm", "type": "pty-req"}))
    each = HOURS * 3_600_000 // CHUNKS
    for number in range(CHUNKS):
        lines = (b"\r\n\x1b[3%dm%08d %s\x1b[0m" % (line % 8, number * 100 + line, b"build of a part " * 3) for line in range(64))
        yield Record(number * each + 1, RecordKind.OUTPUT, 1, b"".join(lines)[:CHUNK])


def users(server: Server) -> None:
    """Commit so many accounts, beside that of the administrator."""
    client = server.login()
    for begin in range(1, OBJECTS, 1_000):
        names = range(begin, min(begin + 1_000, OBJECTS))
        changes = [{"method": "POST", "path": USERS, "body": {"name": f"user{name}"}} for name in names]
        answer = client.post("/api/commits", {"changes": changes})
        if not answer.is_success:
            raise RuntimeError(answer.text)


def shown(page: Page, path: str, text: str) -> float:
    """Seconds until a page shows a text. What the console asks for after a login has come before."""
    page.wait_for_timeout(SETTLED_MILLISECONDS)
    began = time.perf_counter()
    go(page, path)
    page.get_by_text(text).first.wait_for()
    return time.perf_counter() - began


def load(_: Server, visit: Visits) -> None:
    """What comes over the wire, header fields and all, until somebody can log in."""
    page = visit.blank()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    received: dict[str, int] = {}
    names: dict[str, str] = {}
    session.on("Network.responseReceived", lambda event: names.update({event["requestId"]: event["response"]["url"]}))
    session.on("Network.loadingFinished", lambda event: received.update({event["requestId"]: int(event["encodedDataLength"])}))
    page.goto("/console/")
    expect(page.get_by_label("User name")).to_be_visible()
    page.wait_for_load_state("networkidle")
    for request, size in sorted(received.items(), key=lambda item: -item[1]):
        print(f"    {size / 1000:6.1f} kB  {names.get(request, '?')}")
    print(f"first load: {sum(received.values()) / 1000:.0f} kB", flush=True)


def review(_: Server, visit: Visits) -> None:
    """How long a review of many changes takes."""
    page = visit()
    page.evaluate(
        """async ([path, count]) => {
            const me = await (await fetch('/api/user/info')).json();
            const headers = {'X-Token': me.body.token, 'Content-Type': 'application/json'};
            await fetch('/api/transaction', {method: 'POST', headers, body: ''});
            for (let made = 0; made < count; made += 1)
                await fetch(path, {method: 'POST', headers, body: JSON.stringify({name: `staged${made}`})});
        }""",
        [USERS, CHANGES],
    )
    seconds = shown(page, "review", "staged")
    begun = time.perf_counter()
    page.get_by_role("heading", name="What the commit does").wait_for()
    expect(page.get_by_role("progressbar", name="Loading")).to_have_count(0)
    whole = seconds + time.perf_counter() - begun
    shown(page, "time", "Sources")
    again = shown(page, "review", "staged")
    print(f"review of {CHANGES} changes: {seconds:.2f} s, with the plan {whole:.2f} s, once more {again:.2f} s", flush=True)


def recorded(server: Server) -> None:
    """Catalogue a session whose terminal was written to for hours."""
    catalogue = SqliteCatalogue(server.state / "sessions.db")
    tell(catalogue, row(1, trail=put_trail(server.state / "trails", key_of(1), trail(flood()))))
    catalogue.close()


def replay(_: Server, visit: Visits) -> None:
    """How soon a long recording is there, how long seeks in it take, and what the page holds."""
    page = visit()
    page.wait_for_timeout(SETTLED_MILLISECONDS)
    page.goto(f"/console/replay.html?session={key_of(1)}&at=7200", wait_until="commit")
    ready = float(page.evaluate(SHOWN)) / 1000
    seeks = [_seek(page, part) for part in (0.9, 0.1, 0.5, 0.75, 0.25, 0.99, 0.01, 0.6)]
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    size, middle, slowest = CHUNK * CHUNKS / 1e6, statistics.median(seeks), max(seeks)
    print(f"recording of {HOURS} h, {size:.0f} MB: ready {ready:.2f} s, heap {heap:.0f} MB", flush=True)
    print(f"a seek in it: {middle:.2f} s (slowest of {len(seeks)}: {slowest:.2f} s)", flush=True)


def _seek(page: Page, part: float) -> float:
    """Seconds between a click into the progress bar and another screen, by the clock of the page."""
    page.evaluate(WATCH)
    box = page.locator(".ap-progressbar .ap-bar").bounding_box()
    if box is None:
        raise RuntimeError("The player has no progress bar.")
    page.mouse.click(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
    return float(page.evaluate("() => window.sought")) / 1000


def listed(_: Server, visit: Visits) -> None:
    """How long a list of many objects takes, and how many rows of it are drawn."""
    page = visit()
    seconds = shown(page, "settings/aaa/local_database/users", "user9")
    rows = page.get_by_role("row").count()
    print(f"list of {OBJECTS} objects: {seconds:.2f} s, {rows} rows drawn at first", flush=True)


def idle(server: Server) -> None:
    """What a server spends on consoles that nobody touches, each with a login of its own."""
    cookies = [_cookie(server) for _ in range(CONSOLES)]
    context = ssl.create_default_context(cafile=str(server.certificate))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

    async def measured() -> tuple[float, float]:
        streams = [await _live(server, context, cookie) for cookie in cookies]
        await asyncio.sleep(SETTLING_SECONDS)
        before, began = _spent(server), time.perf_counter()
        await asyncio.sleep(IDLE_SECONDS)
        spent, seconds = _spent(server) - before, time.perf_counter() - began
        for writer in streams:
            writer.transport.abort()
        return spent, seconds

    spent, seconds = asyncio.run(measured())
    print(f"{CONSOLES} idle consoles: {spent / seconds:.2%} of a core, over {seconds:.0f} s", flush=True)


def _cookie(server: Server) -> str:
    """Log in, and leave no connection behind: a server closes idle ones, which would count."""
    client = server.login()
    client.http.close()
    return str(client.http.cookies["session_id"])


async def _live(server: Server, context: ssl.SSLContext, cookie: str) -> asyncio.StreamWriter:
    """Open the stream of a console, and have its first word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    writer.write(f"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: session_id={cookie}\r\n\r\n".encode())
    await reader.readuntil(b"event: state")
    return writer


def _spent(server: Server) -> float:
    """Seconds of processor time of the server so far, as the scheduler counts them: ticks say little of many short moments."""
    if server.process is None:
        raise RuntimeError("The server does not run.")
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text("ascii").split()[0]) for task in tasks) / 1e9


def nothing(_: Server) -> None:
    """Leave a server as it is."""


PARTS: dict[str, tuple[Callable[[Server], None], Callable[[Server, Visits], None] | None]] = {
    "load": (nothing, load),
    "review": (nothing, review),
    "replay": (recorded, replay),
    "list": (users, listed),
    "idle": (idle, None),
}
"""What each part does before a browser is there, and what it measures in one."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    wanted = parser.parse_args().parts or list(PARTS)
    if unknown := set(wanted) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    for name in wanted:
        with tempfile.TemporaryDirectory() as directory, running(Path(directory) / "state") as server:
            prepare, measure = PARTS[name]
            prepare(server)
            if measure is not None:
                with chromium() as browser, visits(browser, server) as visit:
                    measure(server, visit)


if __name__ == "__main__":
    main()
