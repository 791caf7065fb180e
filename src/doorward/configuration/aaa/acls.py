"""Rights of groups: ``/api/configuration/aaa/acls``.

A line gives a group ``read`` or ``write`` on objects; ``write`` includes ``read``. A user's rights are those of all lines of all
its groups together; the order of lines has no meaning. The account ``admin`` may do everything and needs no line. Branches are
readable by every login. A new list takes effect at once, also for login sessions that live. Nothing on the host changes.

An object is a path such as ``/api/configuration/datetime``, for that endpoint and everything below it, or one of these:

- ``/special/basic``: alerting, datetime, local_services, management, network, troubleshooting; status, tools and firmware
- ``/special/auth``: aaa. Who may write there can take every right
- ``/special/pol``: policies and plugins
- ``/special/http``, ``ica``, ``mssql``, ``rdp``, ``ssh``, ``telnet``, ``vnc``: that protocol
- ``/special/report``: reporting
- ``/special/searchmenu``: recorded sessions
- ``/special/changelog``: the history of revisions and changes
- ``/special/backup``, ``/special/cluster``: backups; the cluster

A line names its group as it is spelt. A group that does not exist is refused at the commit; a group in use can't be deleted.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from doorward.tree.fields import bad_format, matching
from doorward.tree.models import Body, Elements
from doorward.tree.nodes import ListSingleton
from doorward.tree.places import ROOT, Place
from doorward.tree.problems import Problem
from doorward.tree.references import HINTS
from doorward.tree.registry import discover
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/aaa/acls"
GROUPS = "/api/configuration/aaa/local_database/groups"

OBJECT_TITLES: Final[Mapping[str, str]] = {
    "/special/auth": "Accounts and access",
    "/special/backup": "Backups",
    "/special/basic": "Basic settings",
    "/special/changelog": "History",
    "/special/cluster": "Cluster",
    "/special/http": "HTTP",
    "/special/ica": "ICA",
    "/special/mssql": "MSSQL",
    "/special/pol": "Policies and plugins",
    "/special/rdp": "RDP",
    "/special/report": "Reporting",
    "/special/searchmenu": "Recorded sessions",
    "/special/ssh": "SSH",
    "/special/telnet": "Telnet",
    "/special/vnc": "VNC",
}
"""The objects that stand for more than one subtree, or for something outside the configuration, each with its title."""

OBJECTS = frozenset(OBJECT_TITLES)

_AREAS = {"policies": "pol", "search": "searchmenu"}
_ORDER = (
    "basic-view",
    "basic-write",
    "auth-view",
    "auth-write",
    "search",
    "changelog",
    "policies-view",
    "policies-write",
    "ssh-view",
    "ssh-write",
    "http-view",
    "http-write",
    "ica-view",
    "ica-write",
    "mssql-view",
    "mssql-write",
    "rdp-view",
    "rdp-write",
    "telnet-view",
    "telnet-write",
    "vnc-view",
    "vnc-write",
    "report",
    "cluster-view",
    "cluster-write",
    "backup-view",
    "backup-write",
)

BUILT_IN_GROUPS = {name: str(-1001 - index) for index, name in enumerate(_ORDER)}
"""Name and key of every built-in group, in order."""


def _line(group: str) -> dict[str, object]:
    area, _, verb = group.partition("-")
    return {
        "group": group,
        "objects": [f"/special/{_AREAS.get(area, area)}"],
        "permission": "write" if verb == "write" else "read",
    }


GroupName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    AfterValidator(matching(r"[A-Za-z0-9._-]+", "Only letters, digits and . _ - are allowed.")),
]
"""What the name of a group looks like."""


@cache
def _subtrees() -> frozenset[str]:
    """Return the paths of all endpoints. Asked for late: the tree holds this module."""
    import doorward.configuration

    return frozenset(endpoint.path for endpoint in discover(doorward.configuration)) - {ROOT}


def _object(value: str) -> str:
    if value not in OBJECTS and (not value.startswith(f"{ROOT}/") or value not in _subtrees()):
        raise bad_format("Must be an object such as /special/basic, or the path of an endpoint below /api/configuration.")
    return value


Object = Annotated[
    str,
    StringConstraints(max_length=4096),
    AfterValidator(_object),
    Field(json_schema_extra={HINTS: {"object": True}}),
]


class Line(Body):
    """What a group may do."""

    group: GroupName = Field(description="Name of a local group, spelt as there.", examples=["basic-write"])
    objects: Annotated[list[Object], Elements(least=1, most=64, unique=str)] = Field(
        description="What the right is for: objects, or paths of endpoints with everything below them.",
        examples=[["/special/basic"], ["/api/configuration/datetime", "/special/changelog"]],
    )
    permission: Literal["read", "write"] = Field(description="The right; write includes read.")


def groups_exist(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Refuse lines of groups that are not there, or no longer have the name."""
    groups = snapshot.objects(GROUPS)
    for index, line in enumerate(snapshot.read(NODE)):
        if not groups.with_names(line.group):
            yield Problem("unknown_reference", f"There is no group {line.group}.", f"/{index}/group")


def _identity(line: Line) -> Hashable:
    return line.group, line.permission, tuple(line.objects)


NODE: ListSingleton[Line] = ListSingleton(
    title="Access control lists",
    model=Annotated[list[Line], Elements(unique=_identity)],
    default=[_line(group) for group in BUILT_IN_GROUPS],
    rules=(groups_exist,),
    reads=(GROUPS,),
)
