"""Which tap follows which channel, and under which name rows know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doorward.proxy.ssh.taps.channel import ChannelLog, QuietTap, Tap
from doorward.proxy.ssh.taps.forward_tap import ForwardTap
from doorward.proxy.ssh.taps.scp_tap import ScpTap, scp_arguments
from doorward.proxy.ssh.taps.sftp_tap import SftpTap
from doorward.proxy.ssh.taps.stream_tap import COPY_STOCK, STOCK, StreamTap, only_copies
from doorward.proxy.ssh.taps.terminal_tap import TerminalTap
from doorward.recording.channels import size_of
from doorward.sessions.rules import ChannelRule, ChannelType

_MAX_DEPTH = 8
_MAX_TEXT = 16_384

_FORWARDS = {
    "direct-tcpip": ChannelType.LOCAL_FORWARD, "direct-streamlocal@openssh.com": ChannelType.LOCAL_FORWARD,
    "forwarded-tcpip": ChannelType.REMOTE_FORWARD, "forwarded-streamlocal@openssh.com": ChannelType.REMOTE_FORWARD,
    "x11": ChannelType.X11, "auth-agent@openssh.com": ChannelType.AGENT, "auth-agent": ChannelType.AGENT,
}  # fmt: skip


def channel_type(kind: str, facts: Mapping[str, Any]) -> str:
    """Return the type under which rules and rows know a channel; that of SSH where they know none."""
    if kind != "session":
        return _FORWARDS.get(kind, kind)
    match facts.get("request"):
        case "exec":
            return ChannelType.SCP if scp_arguments(str(facts.get("command", ""))) else ChannelType.EXEC
        case "subsystem":
            return ChannelType.SFTP if facts.get("subsystem") == "sftp" else ChannelType.SUBSYSTEM
        case _:
            return ChannelType.SHELL


def tap_of(log: ChannelLog, kind: str, rule: ChannelRule | None, facts: Mapping[str, Any]) -> Tap:
    """Return what follows a channel. Without a rule, or where the rule does not audit, nothing does."""
    if rule is None or not rule.audit:
        return QuietTap()
    name, command, terminal = channel_type(kind, facts), str(facts.get("command", "")), facts.get("terminal")
    if kind != "session":
        keeps = name in {ChannelType.LOCAL_FORWARD, ChannelType.REMOTE_FORWARD, ChannelType.X11}
        return ForwardTap(log, {"type": name, **facts}, keep=keeps)
    if isinstance(terminal, Mapping):  # also scp and SFTP: with a terminal they are no clean streams
        return TerminalTap(log, size_of(dict(terminal)))
    if name == ChannelType.SFTP:
        return SftpTap(log, keep=rule.keep_files)
    if name == ChannelType.SCP and (scp := scp_arguments(command)) is not None:
        receives, path = scp
        return ScpTap(log, path, receives=receives, keep=rule.keep_files)
    stock = COPY_STOCK if only_copies(command) and not rule.keep_files else STOCK
    return StreamTap(log, is_shell=name == ChannelType.SHELL, stock=stock)


def row_facts(kind: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the row of a channel shows of it."""
    shown = {} if kind == "session" else dict(facts)
    if facts.get("request") == "exec":
        shown["command"] = str(facts.get("command", ""))
        if scp := scp_arguments(shown["command"]):
            shown["scp_path"] = scp[1]
    if facts.get("request") == "subsystem":
        shown["subsystem_name"] = str(facts.get("subsystem", ""))
    if facts.get("terminal"):
        shown["terminal"] = True
    return plain(shown)


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts as JSON has them: what comes from outside may be bytes, or text that no UTF-8 can hold; long text is cut."""
    return {_plain(str(name), 0): _plain(value, 0) for name, value in facts.items()}


def _plain(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return None
    match value:
        case bool() | int() | float() | None:
            return value
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "replace")[:_MAX_TEXT]
        case Mapping():
            return {_plain(str(name), depth + 1): _plain(each, depth + 1) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(each, depth + 1) for each in value]
        case _:
            return str(value)[:_MAX_TEXT].encode("utf-8", "replace").decode()
