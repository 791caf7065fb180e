"""VALUE on the command line: text where the declarations want text, else JSON or YAML."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from doorward.cli import kinds
from doorward.cli.failures import Usage
from doorward.cli.yamltext import NotReadableError, load


def text_of(given: str) -> str:
    """Return the text of an argument: itself, ``@FILE``, or ``-`` for standard input. Raises Usage."""
    if given == "-":
        return read_input()
    return read_file(Path(given[1:])) if given.startswith("@") else given


def parsed(text: str, kind: Any = Any, *, several: bool = False) -> Any:
    """Return the value of a text for a place of a type. Raises Usage.

    Where text goes, a text in quotes is JSON, ``null`` is null if the place takes it, and a mapping is one; everything else is
    the text itself. ``several``: a list stands for its elements.
    """
    if kinds.takes_text(kind):
        line = text.removesuffix("\n").removesuffix("\r")
        if line == "null" and kinds.takes_null(kind):
            return None
        if line.startswith("{") or (several and line.startswith("[")):
            return _loaded(text)
        if line.startswith('"'):
            try:
                return json.loads(line)
            except ValueError:
                return line
        return line
    return _loaded(text)


def _loaded(text: str) -> Any:
    try:
        return load(text)
    except NotReadableError as error:
        raise Usage(f"VALUE: {error}") from None


def read_input() -> str:
    """Return what standard input holds. Raises Usage."""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise Usage(f"Standard input can't be read: {error}.") from None


def read_file(path: Path) -> str:
    """Return the text of a file. Raises Usage."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from None
