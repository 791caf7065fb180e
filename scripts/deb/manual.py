"""Man pages from what ``--help`` says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import typer.main

from doorward import __version__
from doorward.cli.main import app

HELPER = """\
.SH NAME
doorward\\-host \\- change the machine for the server of Doorward, which may not
.SH SYNOPSIS
.B doorward\\-host \\-\\-user
.I ACCOUNT
.SH DESCRIPTION
Runs as root, has no IP socket, and carries out what the server asks for over a Unix socket, as far as a configuration of Doorward
can ask for it: files that Doorward writes, addresses, routes and names, chronyd. It is started by
.BR doorward\\-host.service ,
or by
.B doorward serve \\-\\-host system
where that is started as root.
.SH OPTIONS
.TP
.BI \\-\\-user " ACCOUNT"
Who may ask beside root: the account that the server runs as.
.TP
.BI \\-\\-socket " DESCRIPTOR"
The listening socket; without it the first that systemd hands over.
.SH SEE ALSO
.BR doorward (1)
"""


def pages(epoch: int) -> dict[str, str]:
    """Return the pages by their paths below ``/usr/share/man``."""
    date = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d")
    root = typer.main.get_command(app)
    body = "\n".join(_page(root, root.context_class(root, info_name="doorward")))
    return {
        "man1/doorward.1": f'.TH DOORWARD 1 "{date}" "Doorward {__version__}"\n{body}\n',
        "man8/doorward-host.8": f'.TH DOORWARD\\-HOST 8 "{date}" "Doorward {__version__}"\n{HELPER}',
    }


def _page(root: Any, context: Any) -> Iterator[str]:
    yield from (".SH NAME", "doorward \\- a self\\-hosted privileged\\-session appliance")
    yield from (".SH SYNOPSIS", ".B doorward", "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]")
    yield from (".SH DESCRIPTION", _text(root.help or ""), ".SH OPTIONS")
    yield from _options(root, context)
    yield ".SH COMMANDS"
    for path, command, inner in _commands(root, context, ("doorward",)):
        usage = " ".join(command.collect_usage_pieces(inner))
        yield from (f".SS {_text(' '.join(path))} {_text(usage)}", _text(command.help or ""))
        yield from _options(command, inner)


def _commands(command: Any, context: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    for name in command.list_commands(context):
        one = command.get_command(context, name)
        if one is None or one.hidden:
            continue
        inner = one.context_class(one, info_name=name, parent=context)
        if hasattr(one, "list_commands"):
            yield from _commands(one, inner, (*path, name))
        else:
            yield (*path, name), one, inner


def _options(command: Any, context: Any) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield from (".TP", f"\\fB{_text(record[0])}\\fR", _text(record[1]))


def _text(text: str) -> str:
    """Return a text as roff takes it literally."""
    plain = re.sub(r"\s*\n\s*\n\s*", "\n.PP\n", text.strip()).replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^(['.](?!PP$))", r"\\&\1", plain)
