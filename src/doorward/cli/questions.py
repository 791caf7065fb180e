"""What ``doorward setup`` asks, and the body that becomes of the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from msgspec import Struct

from doorward.cli import terminal

LICENCE = "Apache License 2.0"


def _zone() -> str:
    """Return the time zone of this machine."""
    try:
        return str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")[2] or "Etc/UTC"
    except OSError:
        return "Etc/UTC"


class MemberQuestion(Struct, frozen=True):
    """A question about a place of the body. ``block`` asks whether the block that it belongs to shall be given at all."""

    pointer: str
    text: str
    kind: str = "text"
    default: Callable[[], str] = str
    block: str = ""

    @property
    def at(self) -> tuple[str, str]:
        """The block and the member."""
        _, block, member = self.pointer.split("/")
        return block, member


_NETWORK = "Change name and address of the node? They stay as they were found otherwise."
_MAIL = "Send mail?"
QUESTIONS = (
    MemberQuestion("/administration/admin_password", "Password of admin", "secret"),
    MemberQuestion("/datetime/timezone", "Time zone", default=_zone),
    MemberQuestion("/datetime/primary_ntp_server", "Time server (empty: the usual ones)", "optional"),
    MemberQuestion("/network/hostname", "Name of the node, without domain", block=_NETWORK),
    MemberQuestion("/network/domainname", "Domain", block=_NETWORK),
    MemberQuestion("/network/initial_address", "Address with prefix, such as 192.0.2.5/24", block=_NETWORK),
    MemberQuestion("/network/gateway", "Router (empty: none)", "optional", block=_NETWORK),
    MemberQuestion("/network/primary_dns", "Name server (empty: those of the machine)", "optional", block=_NETWORK),
    MemberQuestion("/email/smtp_server", "Mail server", block=_MAIL),
    MemberQuestion("/email/admin_email", "Who gets mail", block=_MAIL),
)


@dataclass(slots=True)
class MemberAnswers:
    """What was answered so far."""

    _given: dict[str, dict[str, Any]] = field(default_factory=dict)
    _blocks: dict[str, bool] = field(default_factory=dict)
    _accepted: bool = False

    def ask(self, question: MemberQuestion) -> None:
        """Ask one question, before the first one of a block whether the block is wanted, before all others about the licence."""
        if not self._accepted:
            if not terminal.agrees(f"Do you accept the licence of Doorward, the {LICENCE}?"):
                raise typer.Exit(1)
            self._accepted = True
        block, member = question.at
        if question.block and block not in self._blocks:
            self._blocks[block] = terminal.agrees(question.block)
        if not self._blocks.get(block, True):
            return
        if question.kind == "secret":
            answer: str | None = terminal.secret(question.text, twice=True)
        else:
            answer = terminal.ask(question.text, question.default())
            while not answer and question.kind != "optional":
                answer = terminal.ask(question.text, question.default())
        self._given.setdefault(block, {})[member] = answer or None

    def body(self) -> dict[str, Any]:
        """Return what POST /api/setup takes."""
        return {"accept_eula": True, **self._given}


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body without its secrets."""
    hidden = {"admin_password", "root_password", "private_key"}

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: "(not shown)" if name in hidden and member else without(member) for name, member in value.items()}
        return value

    found: dict[str, Any] = without(body)
    return found
