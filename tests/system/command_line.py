"""The `doorward` command as a user runs it, through a pipe or on a terminal, though forked; or quickly, in this process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from doorward.cli.main import app
from tests.support.runner import CliRunner
from tests.support.server import PASSWORD
from tests.support.zygote import Ended, fork_on_terminal, zygote

if TYPE_CHECKING:
    from tests.support.server import Server

PROGRAM = Path(sys.executable).with_name("doorward")
SECONDS = 60


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str = ""

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


CHANGING = {"adopt", "set", "add", "remove", "edit", "apply", "rollback", "restore", "commit", "passwd"}
IN_CLUSTERS = {"promote", "join", "accept", "remove", "leave"}


@dataclass
class CommandLine:
    """A user with a home and a server. ``consents``: says --yes to every change where nobody can be asked."""

    server: Server
    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    consents: bool = True

    def _meant(self, arguments: tuple[str, ...]) -> list[str]:
        words = 2 if arguments[0] == "cluster" else 1
        changes = arguments[0] in CHANGING or (arguments[0] == "cluster" and arguments[1] in IN_CLUSTERS)
        said = {"--yes", "-y", "--dry-run", "--stage", "--help", "-h"} & set(arguments)
        consent = ["--yes"] if self.consents and changes and not said else []
        return [*arguments[:words], *consent, *arguments[words:]]

    def environment(self, **more: str) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("DOORWARD_", "XDG_"))}
        connection = {
            "DOORWARD_URL": self.server.url,
            "DOORWARD_CA": str(self.server.certificate),
            "DOORWARD_PASSWORD": PASSWORD,
        }
        user = {"HOME": str(self.home), "TZ": "UTC", "COLUMNS": "150", "DOORWARD_PROMPT": "0"}
        return {**own, **user, **connection, **self.variables, **more}

    def __call__(self, *arguments: str, stdin: str = "", **variables: str) -> Done:
        """Run a command in this process: starting costs more than all the rest."""
        environment: dict[str, str | None] = {name: None for name in os.environ if name.startswith(("DOORWARD_", "XDG_"))}
        with contextlib.chdir(self.home):
            runner = CliRunner(env=environment | self.environment(**variables))
            done = runner.invoke(app, self._meant(arguments), input=stdin, catch_exceptions=False)
        return Done(done.exit_code, done.stdout, done.stderr)

    def installed(self, *arguments: str, stdin: str = "", **variables: str) -> Done:
        """Run the installed program, without a terminal."""
        done = subprocess.run(
            [zygote().commands / "doorward", *self._meant(arguments)],
            env=self.environment(**variables),
            cwd=self.home,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, stdin: str = "", **variables: str) -> str:
        """Run a command that succeeds; returns what it printed."""
        done = self(*arguments, stdin=stdin, **variables)
        assert done.code == 0, done
        return done.out

    def on_terminal(self, *arguments: str, program: str = "", **variables: str) -> Terminal:
        """Start a command on a terminal of its own, or another program."""
        environment = self.environment(**{"TERM": "xterm-256color", "DOORWARD_PROMPT": "", **variables})
        return Terminal([program or str(PROGRAM), *arguments], environment, self.home)


class Terminal:
    """A process whose controlling terminal is ours to type on."""

    def __init__(self, command: list[str], environment: dict[str, str], home: Path) -> None:
        self._ours, theirs = pty.openpty()
        start = _forked if command[0] == str(PROGRAM) else _executed
        self.process = start(command, environment, home, theirs)
        os.close(theirs)
        self.shown = ""
        self._answered = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(SECONDS)
        os.close(self._ours)

    def awaits(self, text: str) -> str:
        """Read until a text is shown; returns everything so far."""
        end = time.monotonic() + SECONDS
        while text not in self.shown:
            assert time.monotonic() < end, f"{text!r} was not shown: {self.shown}"
            assert self._read(), f"ended without {text!r}: {self.shown}"
        return self.shown

    def answers(self, question: str, line: str) -> None:
        """Wait until a question is shown that was not answered yet, and answer it: what is typed ahead of a password is lost."""
        end = time.monotonic() + SECONDS
        while question not in self.shown[self._answered :]:
            assert time.monotonic() < end, f"{question!r} was not shown: {self.shown}"
            assert self._read(), f"ended without {question!r}: {self.shown}"
        self._answered = self.shown.index(question, self._answered) + len(question)
        self.types(line)

    def types(self, line: str) -> None:
        os.write(self._ours, f"{line}\n".encode())

    def ended(self) -> Done:
        """Read to the end."""
        end = time.monotonic() + SECONDS
        while self._read():
            assert time.monotonic() < end, f"does not end: {self.shown}"
        return Done(self.process.wait(SECONDS), self.shown.replace("\r\n", "\n"))

    def _read(self) -> bool:
        """Read what there is, if anything comes within a while; False at the end."""
        if not select.select([self._ours], [], [], 0.2)[0]:
            return True
        try:
            found = os.read(self._ours, 65536)
        except OSError:  # the last process on the terminal is gone
            return False
        self.shown += found.decode(errors="replace")
        return bool(found)


def _forked(command: list[str], environment: dict[str, str], home: Path, terminal: int) -> Ended:
    return fork_on_terminal(command, environment, home, terminal)


def _executed(command: list[str], environment: dict[str, str], home: Path, terminal: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env=environment,
        cwd=home,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one call, as the only way to get one
    )
