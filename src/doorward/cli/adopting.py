"""``doorward adopt-sessions``: the sessions of a node that is gone, by what it left in the bucket of its recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from doorward.appliance.local_requests import (
    AdoptSessions,
    NotAnsweredError,
    RequestRefused,
    SessionsAdopted,
    ask,
)
from doorward.cli.failures import CommandError


def adopted(state: Path, archive: str, node: str, told: Callable[[SessionsAdopted], None]) -> None:
    """Have the server of a state directory take over all sessions of a node, some at a time. Raises CommandError.

    ``told`` hears after each of the steps what it did.
    """
    after = ""
    while True:
        try:
            done = ask(state, AdoptSessions(archive, node, after))
        except NotAnsweredError as why:
            raise CommandError(f"{why} What was taken over so far stays; begin again.") from None
        match done:
            case SessionsAdopted():
                told(done)
                if not (after := done.after):
                    return
            case RequestRefused(reason):
                raise CommandError(f"No sessions were taken over: {reason}" if not after else reason)
            case None:
                raise CommandError("No server has this state directory; start it first.")
            case _:
                raise CommandError("The server answered something else.")
