"""A node with approval of changes: ann writes, eve and bob approve, kim may go ahead in an emergency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from doorward.access.approving import Approving
from doorward.transaction.commits import CommitService
from doorward.transaction.queue import CommitQueue
from tests.unit.transaction.rig import GOOD_PASSWORD, GROUPS, PASSWORDS, USERS, Rig

if TYPE_CHECKING:
    from pathlib import Path

    from doorward.store.port import CommitRecord
    from doorward.transaction.proposals import Proposal

APPROVAL = "management/change_approval"
NAMES = ("ann", "eve", "bob", "kim")


def nobody_objects() -> None:
    return


class ApprovalRig:
    """``keys`` are those of the accounts and groups, by name. ``paths`` are guarded, "" is everything."""

    def __init__(self, directory: Path, *paths: str, required: int = 1) -> None:
        self.rig = rig = Rig(directory).started()
        self.keys: dict[str, str] = {}
        candidate = rig.candidate()
        for name in NAMES:
            password = rig.post(candidate, PASSWORDS, {"plain": f"{GOOD_PASSWORD} of {name}"})
            self.keys[name] = rig.post(candidate, USERS, {"name": name, "password": password})
        groups = {"writers": ["ann", "kim"], "security": ["eve", "bob", "ann"], "firemen": ["kim"]}
        for name, members in groups.items():
            body = {"name": name, "members": [self.keys[member] for member in members]}
            self.keys[name] = rig.post(candidate, GROUPS, body)
        objects = ["/special/auth", "/special/basic", "/special/pol", "/special/ssh", "/special/changelog", "/special/cluster"]
        lines = rig.value("aaa/acls")
        lines += [{"group": "writers", "objects": objects, "permission": "write"}]
        lines += [{"group": "security", "objects": objects, "permission": "read"}]
        rig.put(candidate, "aaa/acls", lines)
        guarded = [f"/api/configuration/{path}".rstrip("/") for path in paths]
        self.settings: dict[str, Any] = {
            "emergency_group": "firemen",
            "enabled": True,
            "expires_hours": 72,
            "rules": [{"approvers": "security", "paths": guarded, "required": required}],
        }
        rig.put(candidate, APPROVAL, self.settings)
        rig.commit(candidate)
        self.deciding()

    def deciding(self) -> None:
        """Take decisions on what the rig has now."""
        rig = self.rig
        self.service = CommitService(rig.pipeline, CommitQueue(), rig.confirmations)
        self.approving = Approving(self.service)

    def restarted(self) -> None:
        self.rig = self.rig.restarted()
        self.rig.pipeline.proposals.settle()
        self.deciding()

    def close(self) -> None:
        self.service.queue.close()
        self.rig.close()

    def commit(self, *puts: tuple[str, Any], user: str = "ann", **order: Any) -> CommitRecord:
        members: dict[str, Any] = {"account": self.keys.get(user, "-1"), "when_guarded": "propose"} | order
        return self.rig.committed(*puts, user=user, **members)

    def proposed(self, *puts: tuple[str, Any], **order: Any) -> str:
        """Commit what has to wait; return the id of the proposal."""
        record = self.commit(*puts, **order)
        assert record.state == "proposed"
        return record.id

    def decide(
        self, name: str, user: str, decision: Literal["accept", "reject"] = "accept", reason: str | None = None
    ) -> Proposal:
        return self.approving.decide(name, self.keys[user], decision, reason, nobody_objects)

    def proposal(self, name: str) -> Proposal:
        found = self.approving.proposals.get(name)
        assert found is not None
        return found
