"""What a session may do: openings, programs and global requests against the rules that it began with.

Nothing is allowed that no rule names; what is unknown is refused.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from doorward.proxy.ssh.wire.errors import ProtocolViolationError
from doorward.proxy.ssh.wire.fields import Fields
from doorward.sessions.channels import Asked, Circumstances, classify_command, classify_subsystem, decide, scp_path
from doorward.sessions.rules import ChannelRule, ChannelType

MAX_DENIED = 5000
"""What one session may ask for in vain: each is recorded and told of."""
_PROGRAMS = (ChannelType.SHELL, ChannelType.EXEC, ChannelType.SCP, ChannelType.SFTP, ChannelType.SUBSYSTEM)
_LISTENING = {"": "0.0.0.0", "*": "0.0.0.0", "localhost": "127.0.0.1"}  # noqa: S104 - what these names mean (RFC 4254, 7.1)


class Verdict(Struct, frozen=True):
    """What is decided: the rule that allows, or None. ``type``: as rules call it; ``facts``: what was asked for."""

    rule: ChannelRule | None
    type: str
    facts: Mapping[str, Any]


class SessionPolicy:
    """The rules of one session."""

    def __init__(self, rules: tuple[ChannelRule, ...], around: Circumstances) -> None:
        self._rules = rules
        self._around = around
        self._denied = 0
        self._has_agent = False
        self._has_display = False
        self._listening: set[int] = set()
        self._paths: set[str] = set()

    def _decide(self, asked: Asked, facts: Mapping[str, Any]) -> Verdict:
        # By the time of day, whatever it has become: hours are judged when something is asked for, and never again.
        now = datetime.fromtimestamp(time.time(), UTC)
        return Verdict(decide(self._rules, asked, self._around, now), asked.channel.value, facts)

    def count_denied(self) -> None:
        """Count something that is refused. Raises ProtocolViolationError where there is no end of it."""
        self._denied += 1
        if self._denied > MAX_DENIED:
            raise ProtocolViolationError("What no rule allows was asked for again and again")

    def has_programs(self) -> bool:
        """Whether any rule could allow something on a session channel."""
        return any(rule.channel in _PROGRAMS for rule in self._rules)

    def program(self, request: str, fields: Fields) -> Verdict:
        """Judge what begins on a session channel."""
        if request == "exec":
            command = fields.text()
            facts: dict[str, Any] = {"request": request, "command": command}
            kind = classify_command(command)
            if kind is ChannelType.SCP:
                facts["scp_path"] = scp_path(command)
            return self._decide(Asked(channel=kind, command=command), facts)
        if request == "subsystem":
            name = fields.text()
            return self._decide(Asked(channel=classify_subsystem(name), subsystem=name), {"request": request, "subsystem": name})
        return self._decide(Asked(channel=ChannelType.SHELL), {"request": request})

    # --- what a client asks for ahead ---

    def agent(self) -> Verdict:
        """Judge a request to reach the client's agent from the server."""
        verdict = self._decide(Asked(channel=ChannelType.AGENT), {})
        self._has_agent = self._has_agent or verdict.rule is not None
        return verdict

    def x11(self) -> Verdict:
        """Judge a request to reach the client's display from the server."""
        verdict = self._decide(Asked(channel=ChannelType.X11, is_listening=True), {})
        self._has_display = self._has_display or verdict.rule is not None
        return verdict

    def listening(self, host: str, port: int) -> Verdict:
        """Judge a remote forward (tcpip-forward)."""
        asked = Asked(channel=ChannelType.REMOTE_FORWARD, host=_LISTENING.get(host, host), port=port, is_listening=True)
        return self._decide(asked, {"host": host, "port": port})

    def listening_path(self, path: str) -> Verdict:
        """Judge a remote forward of a Unix socket."""
        return self._decide(Asked(channel=ChannelType.REMOTE_FORWARD, path=path, is_listening=True), {"path": path})

    def granted(self, where: int | str) -> None:
        """Note that the server listens now: on a port or at a path."""
        if isinstance(where, int):
            self._listening.add(where)
        else:
            self._paths.add(where)

    # --- openings ---

    def opening(self, kind: str, fields: Fields, *, from_client: bool) -> Verdict:
        """Judge the opening of a channel that is no session. ``fields`` stand at what is special to its type.

        What a server opens must have been asked for by the client before.
        """
        match kind, from_client:
            case "direct-tcpip", True:
                facts = _ends(fields)
                asked = Asked(
                    channel=ChannelType.LOCAL_FORWARD, host=facts["host"], port=facts["port"], originator=facts["originator"]
                )
                verdict, is_wanted = self._decide(asked, facts), True
            case "direct-streamlocal@openssh.com", True:
                path = fields.text()
                verdict, is_wanted = self._decide(Asked(channel=ChannelType.LOCAL_FORWARD, path=path), {"path": path}), True
            case "forwarded-tcpip", False:
                facts = _ends(fields)
                host, port = _LISTENING.get(facts["host"], facts["host"]), facts["port"]
                asked = Asked(channel=ChannelType.REMOTE_FORWARD, host=host, port=port, originator=facts["originator"])
                verdict, is_wanted = self._decide(asked, facts), port in self._listening
            case "forwarded-streamlocal@openssh.com", False:
                path = fields.text()
                asked = Asked(channel=ChannelType.REMOTE_FORWARD, path=path)
                verdict, is_wanted = self._decide(asked, {"path": path}), path in self._paths
            case "x11", False:
                facts = {"originator": fields.text(), "originator_port": fields.uint32()}
                asked = Asked(channel=ChannelType.X11, originator=facts["originator"])
                verdict, is_wanted = self._decide(asked, facts), self._has_display
            case "auth-agent@openssh.com", False:
                verdict, is_wanted = self._decide(Asked(channel=ChannelType.AGENT), {}), self._has_agent
            case _:
                verdict, is_wanted = Verdict(None, kind, {}), False
        return verdict if is_wanted else Verdict(None, verdict.type, verdict.facts)


def _ends(fields: Fields) -> dict[str, Any]:
    """Both ends of a forwarded connection (RFC 4254, section 7.2)."""
    return {"host": fields.text(), "port": fields.uint32(), "originator": fields.text(), "originator_port": fields.uint32()}
