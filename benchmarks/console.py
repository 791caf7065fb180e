"""The web console in Chromium: its first load, a review of 500 changes, a list of 10,000 objects, a recording of four hours.

``python -m benchmarks.console`` prints the figures of docs/performance.md. It needs chromium, and no network.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
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
USERS = "/api/configuration/aaa/local_database/users"


def flood() -> Iterator[Record]:
    """A terminal that is written to for hours."""
    yield Record(0, RecordKind.OPEN, 1, encode_json({"type": "session-shell"}))
    yield Record(0, RecordKind.REQUEST, 1, encode_json({"columns": 80, "rows": 24, "term": "xterm", "type": "pty-req"}))
    each = HOURS * 3_600_000 // CHUNKS
    for number in range(CHUNKS):
        lines = (b"\r\n\x1b[3%dm%08d %s\x1b[0m" % (line % 8, number * 100 + line, b"build of a part " * 3) for line in range(64))
        yield Record(number * each + 1, RecordKind.OUTPUT, 1, b"".join(lines)[:CHUNK])


def users(server: Server, count: int, prefix: str) -> None:
    """Commit so many accounts."""
    client = server.login()
    for begin in range(0, count, 1_000):
        names = range(begin, min(begin + 1_000, count))
        changes = [{"method": "POST", "path": USERS, "body": {"name": f"{prefix}{name}"}} for name in names]
        answer = client.post("/api/commits", {"changes": changes})
        if not answer.is_success:
            raise RuntimeError(answer.text)


def first_load(visit: Visits) -> int:
    """Bytes on the wire until somebody can log in."""
    page = visit.anonymous()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    received: list[int] = []
    session.on("Network.loadingFinished", lambda event: received.append(int(event["encodedDataLength"])))
    page.goto("/console/")
    expect(page.get_by_label("User name")).to_be_visible()
    page.wait_for_load_state("networkidle")
    return sum(received)


def shown(page: Page, path: str, text: str) -> float:
    """Seconds until a page shows a text."""
    began = time.perf_counter()
    go(page, path)
    page.get_by_text(text).first.wait_for()
    return time.perf_counter() - began


def review(page: Page) -> float:
    """Seconds until a review of many changes is there."""
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
    return shown(page, "review", "staged0")


def replay(page: Page) -> tuple[float, list[float], float]:
    """Seconds until the player is ready, those of some seeks, and MB of its heap."""
    began = time.perf_counter()
    page.goto(f"/console/replay.html?session={key_of(1)}&at=7200")
    page.locator(".ap-term .ap-line").filter(has_text="build of a part").first.wait_for()
    ready = time.perf_counter() - began
    seeks = []
    for part in (0.9, 0.1, 0.5, 0.75, 0.25, 0.99, 0.01, 0.6):
        before = page.locator(".ap-term").inner_text()
        box = page.locator(".ap-progressbar").bounding_box()
        if box is None:
            raise RuntimeError("The player has no progress bar.")
        began = time.perf_counter()
        page.mouse.click(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
        while page.locator(".ap-term").inner_text() == before:
            page.wait_for_timeout(5)
        seeks.append(time.perf_counter() - began)
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    return ready, seeks, heap


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory, running(Path(directory) / "state") as server:
        catalogue = SqliteCatalogue(server.state / "sessions.db")
        recording = trail(flood())
        tell(catalogue, row(1, trail=put_trail(server.state / "trails", key_of(1), recording)))
        catalogue.close()
        with chromium() as browser, visits(browser, server) as visit:
            measure(server, visit)


def measure(server: Server, visit: Visits) -> None:
    """Print the figures, one after another."""
    print(f"first load: {first_load(visit) / 1000:.0f} kB", flush=True)
    print(f"review of {CHANGES} changes: {review(visit()):.2f} s", flush=True)
    ready, seeks, heap = replay(visit())
    size, middle, slowest = CHUNK * CHUNKS / 1e6, statistics.median(seeks), max(seeks)
    print(f"recording of {HOURS} h, {size:.0f} MB: ready {ready:.2f} s, heap {heap:.0f} MB", flush=True)
    print(f"a seek in it: {middle:.2f} s (slowest of {len(seeks)}: {slowest:.2f} s)", flush=True)
    users(server, OBJECTS, "user")
    print(f"list of {OBJECTS} objects: {shown(visit(), 'settings/aaa/local_database/users', 'user42'):.2f} s", flush=True)


if __name__ == "__main__":
    main()
