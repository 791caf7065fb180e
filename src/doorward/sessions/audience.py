"""Who may see sessions, and who may act on those that run: by ``access_control`` of their connection policies, as it is now.

``audit`` shows a session to the members of a group, ``authorize`` lets them lock and end it. ``/special/searchmenu`` shows
all of them; write on every object allows everything. A session whose policy is gone is seen by those only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from doorward.access.rights import Rights
from doorward.sessions.catalogue.criteria import ALL, NONE, Criterion, VisibleTo
from doorward.sessions.catalogue.rows import SessionRow
from doorward.tree.snapshot import Snapshot

SEARCH: Final = "/special/searchmenu"
PATH: Final = "/api/configuration/ssh/connections"
_AUDIT, _AUTHORIZE = frozenset({"audit", "audit_and_authorize"}), frozenset({"authorize", "audit_and_authorize"})


class AudienceGrant(Struct, frozen=True):
    """A line of ``access_control`` for a group that the caller is in. ``group``: only sessions of its members; None: all."""

    policy_key: str
    may_audit: bool
    may_authorize: bool
    group: str | None
    other_user: bool
    """Not the caller's own sessions."""
    other_address: bool
    """Not from where the caller is now; asked for when somebody acts."""


class Audience(Struct, frozen=True):
    """What one account may see and do, at one moment."""

    user: str
    sees_all: bool = False
    does_all: bool = False
    grants: tuple[AudienceGrant, ...] = field(default=())

    @property
    def sees_some(self) -> bool:
        """Whether there can be sessions that the account may see."""
        return self.sees_all or any(grant.may_audit for grant in self.grants)

    @property
    def acts(self) -> bool:
        """Whether there can be sessions that the account may lock and end."""
        return self.does_all or any(grant.may_authorize for grant in self.grants)

    def sees(self, row: SessionRow) -> bool:
        """Whether the account may see a session."""
        return self.sees_all or any(grant.may_audit and self._fits(grant, row) for grant in self.grants)

    def may_act(self, row: SessionRow, address: str) -> bool:
        """Whether the account may lock and end a session, from an address."""
        return self.does_all or any(
            grant.may_authorize and self._fits(grant, row) and not (grant.other_address and row.client.ip == address)
            for grant in self.grants
        )

    def _fits(self, grant: AudienceGrant, row: SessionRow) -> bool:
        of_group = grant.group is None or grant.group in row.gateway_groups
        is_left_out = grant.other_user and _is_same_user(row.gateway_user, self.user)
        return grant.policy_key == row.policy_key and of_group and not is_left_out

    def criterion(self) -> Criterion:
        """Return the criterion of the sessions that the account may see."""
        if self.sees_all:
            return ALL
        lines = tuple((grant.policy_key, grant.group, grant.other_user) for grant in self.grants if grant.may_audit)
        return VisibleTo(self.user, lines) if lines else NONE


def _is_same_user(one: str, other: str) -> bool:
    """Whether two names are of one user: directories and RADIUS servers don't look at the case of letters."""
    return one.encode(errors="surrogateescape").lower() == other.encode(errors="surrogateescape").lower()


def audience(snapshot: Snapshot, user: str, rights: Rights) -> Audience:
    """Return what an account may see and do now."""
    sees_all = rights.everything or rights.may_read(SEARCH, "/api/audit")
    return Audience(user, sees_all, rights.everything, tuple(_grants(snapshot, frozenset(rights.groups))))


def _grants(snapshot: Snapshot, groups: frozenset[str]) -> Iterator[AudienceGrant]:
    if not groups:
        return
    for key, document in snapshot.objects(PATH).items():
        for line in _lines(document.value):
            if line.get("authorizer") in groups:
                permission, subject = line.get("permission"), line.get("subject") or {}
                yield AudienceGrant(
                    policy_key=key,
                    may_audit=permission in _AUDIT,
                    may_authorize=permission in _AUTHORIZE,
                    group=subject.get("group") if subject.get("selection") == "only" else None,
                    other_user=bool(line.get("require_different_username")),
                    other_address=bool(line.get("require_different_ip")),
                )


def _lines(body: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body.get("access_control", [])
    return found
