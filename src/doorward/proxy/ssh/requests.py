"""What requests on a channel say (RFC 4254, sections 6 and 10), as plain facts for rules and recording. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from doorward.proxy.ssh.wire.fields import Fields

STARTS = frozenset({"shell", "exec", "subsystem"})
"""What begins a program. A session channel is judged by it."""
AGENT = frozenset({"auth-agent-req@openssh.com", "auth-agent-req"})
FROM_CLIENT = frozenset(
    {
        *STARTS,
        *AGENT,
        "pty-req",
        "env",
        "x11-req",
        "window-change",
        "signal",
        "break",
        "eow@openssh.com",
        "keepalive@openssh.com",
        "simple@putty.projects.tartarus.org",
        "winadj@putty.projects.tartarus.org",
    }
)
FROM_SERVER = frozenset({"exit-status", "exit-signal", "xon-xoff", "eow@openssh.com", "keepalive@openssh.com"})
SILENT = frozenset({"eow@openssh.com", "keepalive@openssh.com", "winadj@putty.projects.tartarus.org"})
"""What says nothing about a session."""
_ENVIRONMENT = re.compile(r"LANG|LC_[A-Z_]{1,40}|TERM|COLORTERM|GIT_PROTOCOL")
MAX_VALUE = 4096
MAX_VARIABLES = 100
_MODES_END = 0
_MODES_LAST = 160


def is_passed_on(name: str, value: str) -> bool:
    """Whether a variable of the environment reaches the server."""
    return _ENVIRONMENT.fullmatch(name) is not None and len(value) <= MAX_VALUE


def _modes(data: bytes) -> dict[str, int]:
    """Terminal modes by their number (RFC 4254, section 8)."""
    modes: dict[str, int] = {}
    fields = Fields(data, 0)
    for _ in range(len(data) // 5):
        number = fields.byte()
        if number == _MODES_END or number >= _MODES_LAST:
            break
        modes[str(number)] = fields.uint32()
    return modes


def read_terminal(fields: Fields) -> Mapping[str, Any]:
    """A pty-req: ``type``, ``columns``, ``rows``, ``width``, ``height`` in pixels, ``modes``."""
    return {
        "type": fields.text(),
        "columns": fields.uint32(),
        "rows": fields.uint32(),
        "width": fields.uint32(),
        "height": fields.uint32(),
        "modes": _modes(fields.string()),
    }


def read_request(name: str, fields: Fields) -> Mapping[str, Any]:
    """The facts of a request on an open channel."""
    match name:
        case "window-change":
            return {"columns": fields.uint32(), "rows": fields.uint32(), "width": fields.uint32(), "height": fields.uint32()}
        case "signal":
            return {"signal": fields.text()}
        case "break":
            return {"milliseconds": fields.uint32()}
        case "exit-status":
            return {"status": fields.uint32()}
        case "exit-signal":
            return {"signal": fields.text(), "core": fields.boolean(), "message": fields.text()}
        case _:
            return {}
