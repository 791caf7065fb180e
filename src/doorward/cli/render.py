"""What commands show: changes as differences of YAML lines, plans, tables. Made of lines with a style, printed at one place."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import typer

from doorward.cli.failures import problem_line, short
from doorward.cli.options import Format
from doorward.cli.yamltext import dump
from doorward.tree.changes import MISSING, ORDER, value_at
from doorward.tree.plaintext import plain


class OutputLine(NamedTuple):
    """A line of output; ``style`` is one of rich's, or empty."""

    text: str
    style: str = ""


class Names(Protocol):
    """Who knows what objects are called."""

    def name(self, path: str, key: str) -> str:
        """Return the name of an object, or its key."""

    def label(self, href: str) -> str:
        """Return a path as people give it."""

    def is_object(self, href: str) -> bool:
        """Whether a path is that of an object."""


_SIGNS = {"create": OutputLine("+", "bold green"), "delete": OutputLine("-", "bold red")}
_STYLES = {"+": "green", "-": "red", " ": "", "…": "dim"}
_STEERING = re.compile("[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
"""What JSON itself does not escape, and terminals obey or hide."""
_AROUND = 3
"""Lines that stay visible around those that differ."""


def changes(found: Iterable[Mapping[str, Any]], remote: Names) -> Iterator[OutputLine]:
    """Yield changes as the API lists them. ``remote`` gives names to paths and references."""
    found = list(found)
    own = {str(change["path"]): name for change in found if (name := _own_name(change, remote))}
    for change in found:
        sign, style = _SIGNS.get(change["type"], OutputLine("~", "bold yellow"))
        order = " (order)" if change["type"] == "reorder" else ""
        yield OutputLine(f"{sign} {_label(change, remote)}{order}", style)
        old, new = (change.get(f"{age}_order", change.get(f"{age}_value", MISSING)) for age in ("old", "new"))
        yield from difference(readable(old, remote, own), readable(new, remote, own))


def _label(change: Mapping[str, Any], remote: Names) -> str:
    """Return the path of a change, with the name of an object that came or went: nobody but the change knows that."""
    path, name = str(change["path"]), _own_name(change, remote)
    return short(f"{path.rpartition('/')[0]}/{name}") if name else remote.label(path)


def _own_name(change: Mapping[str, Any], remote: Names) -> str:
    """Return the name of the object that a change is about, or nothing."""
    path = str(change["path"])
    for age in ("new_value", "old_value"):
        name = value_at(change.get(age), ("name",))
        if "#" not in path and isinstance(name, str) and remote.is_object(path):
            return name
    return ""


def readable(value: Any, remote: Names, own: Mapping[str, str]) -> Any:
    """Return a value of the API with its expanded references as names. ``own`` has those that only the changes know, by path."""
    if isinstance(value, dict):
        if value.keys() == {"key", "meta"} and isinstance(value["key"], str) and isinstance(value["meta"], dict):
            href = str(value["meta"].get("href", ""))
            name = remote.name(href.rpartition("/")[0], value["key"])
            return own.get(href, name) if name == value["key"] else name
        return {name: readable(member, remote, own) for name, member in value.items()}
    return [readable(element, remote, own) for element in value] if isinstance(value, list) else value


def difference(old: Any, new: Any) -> Iterator[OutputLine]:
    """Yield the lines of two values that differ, with some lines around them. MISSING has no lines."""
    before, after = (_lines(value) for value in (old, new))
    groups = difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(_AROUND)
    end = 0
    for group in groups:
        if group[0][1] > end:
            yield OutputLine("    …", _STYLES["…"])
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (_line(" ", text) for text in before[i1:i2])
            else:
                yield from (_line("-", text) for text in before[i1:i2])
                yield from (_line("+", text) for text in after[j1:j2])
        end = group[-1][2]
    if 0 < end < len(before):
        yield OutputLine("    …", _STYLES["…"])


def _lines(value: Any) -> list[str]:
    return [] if value is MISSING else dump(value).splitlines()


def _line(sign: str, text: str) -> OutputLine:
    return OutputLine(f"  {sign} {text}".rstrip(), _STYLES[sign])


def plan(body: Mapping[str, Any]) -> Iterator[OutputLine]:
    """Yield what a commit would do to the host, and its warnings."""
    actions: Sequence[Mapping[str, Any]] = body["actions"]
    yield OutputLine("On the host:" if actions else "Nothing changes on the host.", "bold" if actions else "dim")
    for action in actions:
        effect = "" if action["effect"] == "none" else f" ({action['effect'].replace('_', ' ')})"
        yield OutputLine(f"  {short(action['path'])}: {action['action']}{effect}")
    yield from warnings(body["warnings"])


def warnings(found: Iterable[Mapping[str, str]]) -> Iterator[OutputLine]:
    """Yield warnings, each once."""
    for line in dict.fromkeys(problem_line(w["path"], w["pointer"], w["message"]) for w in found):
        yield OutputLine(f"Warning: {line}", "yellow")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[OutputLine]:
    """Yield a table; only its last column has any width."""
    cells = [[plain(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(head) - 1)]
    for index, row in enumerate(cells):
        text = "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        yield OutputLine(text, "" if index else "bold")


def local_time(time: str | None) -> str:
    """Return a time of the API in the zone of whoever reads it; ``-`` for none, and what is no time as it is."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if time else "-"
    except (ValueError, OverflowError):
        return str(time)


def show(lines: Iterable[OutputLine], *, err: bool = False) -> None:
    """Print lines on standard output, or on standard error, with colours on a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stderr if err else sys.stdout, highlight=False, soft_wrap=True)
    for line in lines:
        console.print(Text(plain(line.text), line.style))


def emit(value: Any, form: Format | None, lines: Iterable[OutputLine] | None = None) -> None:
    """Print a value for programs, or the lines for people where no form was asked for; without lines, YAML."""
    if form is Format.json:
        typer.echo(json_text(value))
    elif form is Format.yaml or lines is None:
        typer.echo(dump(ordered(value)), nl=False)
    else:
        show(lines)


def json_text(value: Any) -> str:
    """Return a value as JSON for programs and people: what would steer a terminal is escaped, all other letters stay."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _STEERING.sub(lambda found: json.dumps(found[0])[1:-1], text)


def ordered(value: Any) -> Any:
    """Return a value as people read it: members by name, ``@order`` first, as the entries of its maps stand."""
    if isinstance(value, list):
        return [ordered(element) for element in value]
    if not isinstance(value, dict):
        return value
    names = [ORDER, *value[ORDER]] if isinstance(value.get(ORDER), list) else sorted(value)
    return {name: ordered(value[name]) for name in names if name in value}
