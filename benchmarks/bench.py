"""Where and how it is measured, which all scenarios get."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    ``rounds`` of long measurements, ``turns`` of short ones: a disk that is slow for seconds on end must meet all parties.
    ``seconds`` of a run of wrk, ``commits`` in a turn, ``proven`` commits in a round with chronyd.
    """

    rounds: int = 5
    turns: int = 15
    seconds: int = 5
    commits: int = 20
    proven: int = 40


QUICK = Effort(rounds=2, turns=2, seconds=1, proven=5)


class _Stops(Protocol):
    def stop(self) -> None: ...


_Server = TypeVar("_Server", bound=_Stops)


@dataclass
class Bench:
    """Where and how it is measured: a folder on the disk, the core of the servers, the effort."""

    folder: Path
    core: int
    effort: Effort

    @contextmanager
    def servers(self) -> Iterator[Callable[[_Server], _Server]]:
        """Give a function that takes a started server, which is stopped at the end."""
        with ExitStack() as stack:

            def kept(server: _Server) -> _Server:
                stack.callback(server.stop)
                return server

            yield kept

    def place(self, name: str) -> Path:
        """Return a path for a server in an emptied place."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        return path
