"""Changes that wait for ``doorward commit``: kept in a file of the user, written into one transaction when they are looked at."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec.structs
from msgspec import Struct, field

from doorward.cli.edits import CommandEdit, perform
from doorward.cli.failures import CommandError, Usage, problem_line
from doorward.cli.outside import in_clear
from doorward.cli.session import CommandSession
from doorward.cli.target import CommandTarget

Change = Mapping[str, Any]


class Stage(Struct, frozen=True):
    """The changes that were staged for one server and account, and what the places were like that they change."""

    path: Path
    edits: tuple[CommandEdit, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)

    def with_edit(self, edit: CommandEdit) -> Stage:
        """Return the stage with one more change. Raises Usage where the file would hold a secret."""
        if in_clear(edit.value) or in_clear(_loose(edit.text)):
            raise Usage("A staged change would keep the secret in a file; give it as {from_env: …} or {from_file: …}.")
        return msgspec.structs.replace(self, edits=(*self.edits, edit))

    def write(self, session: CommandSession, match: str = "") -> None:
        """Write the changes into the transaction of a session, in their order. ``match`` is the entity tag for the last one."""
        for edit in self.edits:
            perform(session, edit, match if edit is self.edits[-1] else "")
            session.remote.forget()

    def save(self, changes: Iterable[Change]) -> None:
        """Keep it, with what the changed places were like. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = {"edits": [msgspec.structs.asdict(edit) for edit in self.edits], "before": _before(changes)}
        draft = self.path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file)
        draft.replace(self.path)

    def discard(self) -> None:
        """Forget the changes."""
        self.path.unlink(missing_ok=True)

    def refuse_others(self, changes: Iterable[Change], label: Any) -> None:
        """Raise Failure where somebody else changed a place since it was staged."""
        lines = [
            problem_line(label(path), "", "somebody else changed it since it was staged.")
            for path, old in _before(changes).items()
            if path not in self.before or self.before[path] != old
        ]
        if lines:
            raise CommandError(*lines, "`doorward plan` shows what would become of it; `doorward commit --overwrite` means it.")


def location(target: CommandTarget) -> Path:
    """Return the file for a server and an account."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = hashlib.sha256(f"{target.url}\n{target.user}".encode()).hexdigest()[:16]
    return Path(base) / "doorward-cli" / f"staged-{name}.json"


def staged(target: CommandTarget) -> Stage:
    """Return what is staged for a server and an account. Raises Usage."""
    path = location(target)
    try:
        content = json.loads(path.read_bytes())
        return Stage(path, tuple(CommandEdit(**edit) for edit in content["edits"]), content["before"])
    except FileNotFoundError:
        return Stage(path)
    except (OSError, ValueError, KeyError, TypeError):
        raise Usage(f"{path} can't be read; `doorward discard` removes it.") from None


def _before(changes: Iterable[Change]) -> dict[str, Any]:
    """Return what places were like before changes; what is new has no before."""
    return {str(c["path"]): c.get("old_order", c.get("old_value")) for c in changes if c["type"] != "create"}


def _loose(text: str) -> Any:
    from doorward.cli.yamltext import NotReadableError, load

    try:
        return load(text)
    except NotReadableError:
        return None
