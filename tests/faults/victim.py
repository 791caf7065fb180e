"""A server that is killed at chosen steps, and the checks that have to hold afterwards."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2

from tests.faults.checks import Seen, accepted, check, look
from tests.support.server import PASSWORD, Client, Server, until
from tests.support.waiting import PATIENCE
from tests.support.zygote import UNMEASURED

TRAP = Path(__file__).with_name("trap.py")
COMMIT = {"status": "commit"}
EVERY_STEP = bool(os.environ.get("EVERY_STEP"))
"""Die also where a kill leaves what it leaves at the step before."""
_BEYOND = 40
"""How many more steps there may be than were seen."""
_OUTSIDE = ("before run ", "before daemon ")
"""What other processes keep may differ behind these steps."""
_ASKED = ("before run -c tracking", "before run sources -a")
"""These only ask chronyd, as other threads do whenever they like."""
Write = Callable[[Client, int], object]
"""Writes into a candidate what the n-th commit is about."""


@dataclass(frozen=True)
class Survey:
    """The steps of a deed: their names in their order, and those at which a kill leaves something else than at the one before."""

    names: tuple[str, ...]
    differing: tuple[int, ...]

    @classmethod
    def read(cls, lines: Sequence[str]) -> Self:
        """Read what the trap wrote: number, name, and what a kill would leave."""
        parts = [line.partition(" ")[2].rpartition(" leaves ") for line in lines]
        names, left = [part[0] for part in parts], [part[2] for part in parts]
        differing = [
            index + 1
            for index in range(len(parts))
            if index == 0
            or left[index] != left[index - 1]
            or (names[index - 1].startswith(_OUTSIDE) and names[index - 1] not in _ASKED)
        ]
        return cls(tuple(names), tuple(differing))

    @property
    def steps(self) -> Iterator[int]:
        """The steps to die at, and then those that there should not be."""
        yield from range(1, len(self.names) + 1) if EVERY_STEP else self.differing
        yield from range(len(self.names) + 1, len(self.names) + _BEYOND)

    def all_killed(self, kill: Callable[[int], bool], planned: int, part: int = 0, parts: int = 1) -> None:
        """Kill at one step after the other, until there is none any more. ``kill`` says whether it died.

        ``planned``: how many steps there are at the least; those of threads may be some more in one run than in another.
        ``part``: of so many ``parts``, each with every so manieth step.
        """
        assert len(self.names) >= planned, f"there are fewer steps than planned: {self.names}"
        survived = next((step for step in itertools.islice(self.steps, part, None, parts) if not kill(step)), None)
        assert survived is not None, "there are many more steps than seen"
        assert survived > planned, f"survived step {survived} of {self.names}"


class Victim:
    """A server in the trap. ``turn`` numbers the commits, so that each brings something new."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.state, self.trap = directory / "state", directory / "trap"
        trap = {"DOORWARD_TRAP": str(self.trap), "DOORWARD_TRAP_AHEAD": "yes"}
        self.server = Server(self.state, (str(TRAP),), {**trap, **UNMEASURED, **environment})
        self.turn = 0
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """A client that is logged in; starts the server where it does not run."""
        if self.server.process is None or self.process.poll() is not None:
            self.start()
        elif self._client is None:
            self.enter(PASSWORD)
        assert self._client
        return self._client

    @property
    def process(self) -> Any:
        """The process of the server."""
        assert self.server.process
        return self.server.process

    @property
    def where(self) -> str:
        """Where the server died, or the last step that it passed."""
        steps = self.trap.with_suffix(".steps")
        return f"killed at {steps.read_text().splitlines()[-1]}" if steps.exists() else "never trapped"

    # The trap

    def survey(self, deed: Callable[[], object]) -> Survey:
        """Look at the steps of something that is done once, and at what a kill would leave at each of them."""
        self._answered()
        with self.trapped(str(self.state)):
            deed()
            self._answered()
        return Survey.read(self.trap.with_suffix(".steps").read_text().splitlines())

    @contextmanager
    def trapped(self, step: int | str) -> Iterator[None]:
        """The server dies at this step of what happens inside: the n-th, or the first whose name begins like this."""
        self.trap.with_suffix(".steps").unlink(missing_ok=True)
        part = self.trap.with_suffix(".part")
        part.write_text(str(step))
        part.rename(self.trap)
        try:
            yield
        finally:
            self.trap.unlink()

    def survey_start(self) -> Survey:
        """Look at the steps of a start."""
        self._forget()
        return self.survey(self.server.start)

    def _answered(self) -> None:
        """Ask once more: then whatever follows the answer before has been done."""
        if self._client:
            self._client.get("/api/setup")

    def _died(self, client: Client | None) -> bool:
        """Whether the process has ended. A client whose commit was answered asks once more: an answer means no step is left."""
        if client:
            with suppress(httpx2.TransportError):
                client.get("/api/setup")
                return False
        assert self.process.wait(PATIENCE) == -signal.SIGKILL, "".join(self.server.errors)[-3000:]
        return True

    # Life

    def start(self) -> None:
        """Start, log in."""
        self._forget()
        self.server.start()
        self.enter(PASSWORD)

    def enter(self, password: str) -> None:
        """Log in to the server that runs."""
        self._client = self.server.login(password=password)

    def start_trapped(self, step: int) -> bool:
        """Start with the trap set; whether it sprang. Otherwise the server is ready."""
        self._forget()
        with self.trapped(step):
            self.server.start(wait=False)
            until(lambda: self.process.poll() is not None or self.server._ready(), 30, "the end or the ready line")
        # What the server still does after its line may be the step, so that it dies in this moment.
        if self.process.poll() is None and not self.where.startswith(f"killed at {step} "):
            return False
        assert self.process.wait(PATIENCE) == -signal.SIGKILL, "".join(self.server.errors)[-3000:]
        return True

    def stop(self) -> None:
        """End it cleanly."""
        self._forget()
        alive = self.process.poll() is None
        assert self.server.stop() == (0 if alive else -signal.SIGKILL)

    def _forget(self) -> None:
        if self._client:
            self._client.http.close()
            self._client = None

    # Commits

    def write(self, write: Write) -> None:
        """Write the next change into the candidate."""
        self.turn += 1
        write(self.client, self.turn)

    def commit(self, write: Write, **order: Any) -> dict[str, Any]:
        """Commit without the trap; what was answered."""
        self.write(write)
        answer: dict[str, Any] = accepted(self.client.put("/api/transaction", {**COMMIT, **order})).json()
        return answer

    def kill(self, step: int | str, order: dict[str, Any]) -> tuple[bool, bool]:
        """Commit or confirm, with death at a step of it. Whether it died, and whether it had answered with success."""
        client, answer = self.client, None
        with self.trapped(step):
            with suppress(httpx2.TransportError):
                answer = client.put("/api/transaction", order)
            died = self._died(client if answer is not None else None)
        if answer is not None:
            accepted(answer)
        assert died or answer is not None
        return died, answer is not None

    def kill_in_commit(self, step: int | str, write: Write, **order: Any) -> bool:
        """Commit, with death at a step of it; start again and check everything. Whether there was such a step."""
        before = look(self.client)
        self.write(write)
        after = look(self.client)
        assert before != after
        died, acknowledged = self.kill(step, {**COMMIT, **order})
        self.check([after] if acknowledged else [before, after])
        return died

    def check(self, allowed: Sequence[Seen]) -> None:
        """The running configuration is one of the allowed ones, and everything else agrees with it."""
        check(self.client, self.state, allowed, self.where)
