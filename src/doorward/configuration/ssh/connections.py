"""Which SSH connections are proxied, from where to where: ``/api/configuration/ssh/connections``.

The node listens on each of its own addresses that lies in ``network.targets``, on every port; the first active policy, in
order, whose ``network`` has the client, the address and the port takes a connection. The order is changed by PUT of the
collection with ``{"@order": [all keys]}``; new policies go last. A commit opens the new listeners and proves them before it
closes old ones; it takes effect on new sessions, and ends those whose policy it removes or makes inactive. Targets are fixed,
or stand in the user name (``user@server``). Own addresses are no targets unless ``domains`` lists them one by one.
"""

from __future__ import annotations

from collections.abc import Iterator

from doorward.configuration import private_keys
from doorward.configuration.aaa.acls import GROUPS
from doorward.configuration.local_services import admin_web, cluster, user_web
from doorward.configuration.network._nics import PATHS as NICS
from doorward.configuration.policies import archive_cleanup_policies, audit_policies, usermapping_policies
from doorward.configuration.ssh import (
    _archives,
    _rules,
    authentication_policies,
    channel_policies,
    host_keys,
    options,
    settings_policies,
)
from doorward.configuration.ssh._connections import PATH, SshConnection
from doorward.membership import channel
from doorward.tree.nodes import Collection
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

__all__ = ["NODE", "PATH", "SshConnection"]


def _leaves(before: Snapshot, after: Snapshot) -> Iterator[Problem]:
    """Yield what only who may do everything may let go elsewhere."""
    yield from _rules.more_authorities(before, after)
    yield from _archives.recordings_leave(before, after)


NODE: Collection[SshConnection] = Collection(
    title="SSH connections",
    model=SshConnection,
    unique="name",
    most=1000,
    ordered=True,
    rules=(
        _rules.loops,
        _rules.unproven_servers,
        _rules.needed,
        _rules.unfit_host_keys,
        _rules.unknown_groups,
        _rules.kept_too_long,
        _archives.unfit_archives,
        _archives.archived_too_late,
    ),
    advice=(
        _rules.no_own_address,
        _rules.shadowed,
        _rules.own_networks,
        _rules.unchecked_servers,
        _rules.never_matching,
        _rules.trails_in_clear,
        _archives.archived_in_clear,
    ),
    claims=_rules.claims,
    leaves=_leaves,
    reads=(
        options.PATH,
        authentication_policies.PATH,
        channel_policies.PATH,
        settings_policies.PATH,
        host_keys.PATH,
        private_keys.PATH,
        archive_cleanup_policies.PATH,
        audit_policies.PATH,
        usermapping_policies.PATH,
        GROUPS,
        admin_web.PATH,
        user_web.PATH,
        cluster.PATH,
        channel.PATH,
        *NICS,
    ),
)
