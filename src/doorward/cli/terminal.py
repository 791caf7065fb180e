"""Questions to whoever sits at the terminal, whatever standard input and output are connected to.

``DOORWARD_PROMPT=0`` says that nobody does.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import typer

_TERMINAL = "/dev/tty"


def present() -> bool:
    """Whether somebody can be asked."""
    if os.environ.get("DOORWARD_PROMPT") == "0":
        return False
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


@contextmanager
def _opened() -> Iterator[tuple[TextIO, TextIO]]:
    sys.stdout.flush()  # what the question is about comes first
    with open(_TERMINAL, encoding="utf-8", errors="replace") as reads, open(_TERMINAL, "w", encoding="utf-8") as writes:  # noqa: PTH123 - a device
        yield reads, writes


def ask(question: str, default: str = "") -> str:
    """Return what is typed; an empty line means the default. Raises Abort at the end of the input."""
    with _opened() as (reads, writes):
        writes.write(f"{question}{f' [{default}]' if default else ''}: ")
        writes.flush()
        line = reads.readline()
    if not line:
        raise typer.Abort
    return line.strip() or default


def agrees(question: str, *, default: bool = False) -> bool:
    """Whether the answer is yes."""
    while True:
        answer = ask(f"{question} [{'Y/n' if default else 'y/N'}]").casefold()
        if answer in {"y", "yes", "n", "no", ""}:
            return default if not answer else answer.startswith("y")


def secret(question: str, *, twice: bool = False) -> str:
    """Return what is typed without being shown, the second time the same if ``twice``. Raises Abort at the end of the input."""
    sys.stdout.flush()
    while True:
        try:
            typed = getpass.getpass(f"{question}: ")
            if not twice or getpass.getpass("Once more: ") == typed:
                return typed
        except EOFError:
            raise typer.Abort from None
        typer.echo("The two are not the same.", err=True)
