"""Waiting for what takes the server a while: runs and drills."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from doorward.client.blocking import Client

_LOOK_SECONDS = 0.5


def ended(client: Client, href: str) -> dict[str, Any]:
    """Watch a run or a drill to its end, on a terminal with a line that tells how far it is."""
    with _told() as tell:
        while True:
            found: dict[str, Any] = client.body(href)
            if found["ended"]:
                return found
            tell(_progress(found))
            time.sleep(_LOOK_SECONDS)


@contextmanager
def _told() -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.markup import escape

    from doorward.tree.plaintext import plain

    console = Console(file=sys.stderr, highlight=False)
    if console.is_terminal:
        with console.status("waiting") as shown:
            yield lambda text: shown.update(escape(plain(text)))
        return
    said: list[str] = []

    def tell(text: str) -> None:
        if said[-1:] != [text]:
            said.append(text)
            console.print(plain(text), markup=False)

    yield tell


def _progress(found: dict[str, Any]) -> str:
    failed = found.get("attempts")
    if failed and failed[-1]["code"]:
        return f"{found['status']}; attempt {len(failed)} failed: {failed[-1]['code']}"
    return str(found.get("status", "at work"))
