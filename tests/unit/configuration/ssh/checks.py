"""What the tests of SSH policies share: a rig with SSH on, and policies in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.configuration.policies.checks import changed
from tests.unit.configuration.ssh.samples import ON, SHORT
from tests.unit.transaction.rig import ROOT, Rig

if TYPE_CHECKING:
    from doorward.transaction.candidate import Candidate

AUTHENTICATIONS, CHANNEL_POLICIES = "ssh/authentication_policies", "ssh/channel_policies"
CONNECTIONS, HOST_KEYS, OPTIONS, SETTINGS = "ssh/connections", "ssh/host_keys", "ssh/options", "ssh/settings_policies"

Found = tuple[str, str, str]


def connection(name: str = "linux", at: dict[str, Any] | None = None) -> dict[str, Any]:
    """A connection policy with other members, each at a path like ``network/ports``."""
    body = {**SHORT, "name": name}
    for path, value in (at or {}).items():
        body = changed({**body, **({} if "/" in path else {path: value})}, path, value) if "/" in path else {**body, path: value}
    return body


def add(rig: Rig, candidate: Candidate, name: str = "linux", at: dict[str, Any] | None = None) -> str:
    """Make a connection policy."""
    return rig.post(candidate, CONNECTIONS, connection(name, at))


def switched_on(rig: Rig) -> Candidate:
    """A transaction that switches SSH on."""
    candidate = rig.candidate()
    rig.put(candidate, OPTIONS, ON)
    return candidate


def found(rig: Rig, candidate: Candidate) -> tuple[set[Found], set[Found]]:
    """(Problems, warnings) of a commit: code, path below the root, pointer. That recordings are in clear is left out."""
    report = rig.pipeline.plan(candidate)
    problems, warnings = (
        {(one.code, one.path.removeprefix(ROOT), one.pointer) for one in some} for some in (report.problems, report.warnings)
    )
    return problems, {one for one in warnings if one[0] != "trail_in_clear"}
