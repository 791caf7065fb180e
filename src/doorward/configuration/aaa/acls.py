"""Rights of groups: ``/api/configuration/aaa/acls``. Read-only in this release; the rights are enforced.

A user's rights are those of all its groups together; ``write`` includes ``read``. Branches are readable by every login.
"""

from __future__ import annotations

from doorward.tree.nodes import ListSingleton, later

PATH = "/api/configuration/aaa/acls"

_OBJECTS = {"policies": "pol", "search": "searchmenu"}
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
        "objects": [f"/special/{_OBJECTS.get(area, area)}"],
        "permission": "write" if verb == "write" else "read",
    }


NODE = later(ListSingleton, title="Access control lists", default=[_line(group) for group in BUILT_IN_GROUPS])
