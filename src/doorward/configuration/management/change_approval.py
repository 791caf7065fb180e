"""Changes that take a second person: ``/api/configuration/management/change_approval``.

While it is enabled, a commit that changes something at or below one of ``paths`` does not take effect: as a whole it becomes a
proposal, and takes effect once ``required`` members of the group ``approvers`` have accepted it, none of them its author. All
rules that cover a place count. ``aaa``, the cluster, ``management/webinterface`` and this endpoint are guarded whatever the rules
say; where no rule names such a place, it takes the approvers of every rule. Only the own password is free.

Members of ``emergency_group`` may commit at once, with a message: that is told to everybody who gets alerts, and stays marked in
the history. A group that has too few members with a password is refused, also by the commit that would take one out. The way out
where nobody is left is ``doorward reset-approval`` on the machine. What runs decides, so a commit that enables this is not yet
guarded, and one that changes or disables it is. Nothing on the host changes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from doorward.configuration.aaa.acls import GroupName
from doorward.configuration.aaa.local_database import groups, users
from doorward.configuration.management import webinterface
from doorward.membership import ROOT as CLUSTER
from doorward.tree.fields import Mail, bad_format
from doorward.tree.models import Body, Elements, Off, Switched, extension
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.registry import discover
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/management/change_approval"
ALWAYS_GUARDED = ("/api/configuration/aaa", CLUSTER, PATH, webinterface.PATH)
"""What is guarded while approval is enabled: by any of it somebody could do without a second person."""


@cache
def _guardable() -> frozenset[str]:
    """Return the paths that rules may name. Asked for late: the tree holds this module."""
    import doorward.configuration
    import doorward.membership

    trees = discover(doorward.configuration), discover(doorward.membership, CLUSTER)
    return frozenset(endpoint.path for tree in trees for endpoint in tree)


def _path(value: str) -> str:
    if value not in _guardable():
        raise bad_format("Must be the path of an endpoint, such as /api/configuration/network.")
    return value


GuardedPath = Annotated[str, StringConstraints(max_length=4096), AfterValidator(_path)]


class ApprovalRule(Body):
    """Who has to accept changes of what."""

    approvers: GroupName = Field(description="Name of a local group; its members accept or reject.", examples=["security"])
    paths: Annotated[list[GuardedPath], Elements(least=1, most=64, unique=str)] = Field(
        description="Endpoints that are guarded, each with everything below it.", examples=[["/api/configuration/network"]]
    )
    required: int = Field(1, ge=1, le=10, description="How many different people have to accept, the author not among them.")
    mail_to: Annotated[list[Mail], Elements(most=16, unique=str)] = extension(
        [], description="Addresses that get a mail when a proposal waits for this group."
    )

    def covers(self, href: str) -> bool:
        """Whether a resource is at or below one of the paths."""
        return is_below(href, self.paths)


def _identity(rule: ApprovalRule) -> Hashable:
    return rule.approvers, tuple(rule.paths)


class ApprovalOn(Body):
    """Changes of guarded places take a second person."""

    enabled: Literal[True] = Field(description="Switched on.")
    emergency_group: GroupName | None = Field(
        None, description="Name of a local group whose members may commit without approval; null: nobody may."
    )
    expires_hours: int = Field(72, ge=1, le=720, description="Hours after which a proposal that nobody accepted ends.")
    rules: Annotated[list[ApprovalRule], Elements(least=1, most=64, unique=_identity)] = Field(
        description="Who has to accept changes of what."
    )


ChangeApproval = Annotated[ApprovalOn | Off, Switched()]


def is_below(href: str, paths: Iterable[str]) -> bool:
    """Whether a resource is at or below one of some paths."""
    return any(href == path or href.startswith(f"{path}/") for path in paths)


def settings(snapshot: Snapshot) -> ApprovalOn | None:
    """Return how changes are approved; None: they are not."""
    found = snapshot.find(NODE)
    return found if isinstance(found, ApprovalOn) else None


def rules_for(snapshot: Snapshot, hrefs: Iterable[str]) -> tuple[ApprovalRule, ...]:
    """Return the rules that changes of some resources have to pass, in their order; none: nobody has to be asked."""
    approval = settings(snapshot)
    if approval is None:
        return ()
    found: set[int] = set()
    for href in hrefs:
        own = {at for at, rule in enumerate(approval.rules) if rule.covers(href)}
        if not own and is_below(href, ALWAYS_GUARDED):
            own = set(range(len(approval.rules)))
        found |= own
    return tuple(rule for at, rule in enumerate(approval.rules) if at in found)


def has_enough_people(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Refuse groups that are not there, and those without enough members who can log in beside an author."""
    approval = settings(snapshot)
    if approval is None:
        return
    if approval.emergency_group is not None and _members(snapshot, approval.emergency_group) is None:
        yield Problem("unknown_reference", f"There is no group {approval.emergency_group}.", "/emergency_group")
    for at, rule in enumerate(approval.rules):
        found = _members(snapshot, rule.approvers)
        if found is None:
            yield Problem("unknown_reference", f"There is no group {rule.approvers}.", f"/rules/{at}/approvers")
        elif len(found) <= rule.required:
            message = (
                f"The group {rule.approvers} has {len(found)} members with a password; {rule.required + 1} are needed, so that"
                " everybody's change can be accepted."
            )
            yield Problem("contradiction", message, f"/rules/{at}/approvers")


def _members(snapshot: Snapshot, name: str) -> list[str] | None:
    """Return the keys of the members of a group that can log in; None: there is no such group."""
    keys = snapshot.objects(groups.PATH).with_names(name)
    if not keys:
        return None
    group = snapshot.find(groups.NODE, keys[0])
    members = {member.key for member in group.members} if group is not None else set()
    accounts = ((key, snapshot.find(users.NODE, key)) for key in sorted(members))
    return [key for key, account in accounts if account is not None and account.password is not None]


NODE: Singleton[ApprovalOn | Off] = Singleton(
    title="Approval of changes",
    model=ChangeApproval,
    default={"enabled": False},
    rules=(has_enough_people,),
    reads=(groups.PATH, users.PATH),
    listed=False,
)
