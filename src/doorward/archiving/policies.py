"""Which recordings go where: archive policies, and the connection policies that refer to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from doorward.backup.targets.port import describe
from doorward.configuration.policies import archive_cleanup_policies
from doorward.configuration.policies._s3 import S3Target
from doorward.configuration.policies.archive_cleanup_policies import PATH, ArchivePolicy
from doorward.configuration.ssh import connections
from doorward.sessions.catalogue.rows import TrailArchive
from doorward.tree.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class UsedPolicy:
    """An archive policy that connection policies refer to, which are given by their keys."""

    key: str
    policy: ArchivePolicy
    connections: frozenset[str]

    @property
    def is_sending(self) -> bool:
        """Whether recordings are sent anywhere; else they are only deleted."""
        return isinstance(self.policy.target, S3Target)

    @property
    def href(self) -> str:
        """Its path in the API."""
        return f"{PATH}/{self.key}"

    @property
    def label(self) -> str:
        """The target for people, without secrets; "" where there is none."""
        return label_of(self.policy)


def label_of(policy: ArchivePolicy) -> str:
    """Return the bucket of a policy for people, without what keys begin with; "" where it sends nothing."""
    target = policy.target
    return describe({**target.model_dump(mode="json"), "prefix": ""}) if isinstance(target, S3Target) else ""


def used_policies(snapshot: Snapshot) -> Mapping[str, UsedPolicy]:
    """Return the policies that recordings go by now, by their keys."""
    kept = "archive policies"
    if kept not in snapshot.memo:
        users: dict[str, set[str]] = {}
        for key, one in snapshot.each(connections.NODE):
            if one.policies.archive_cleanup_policy is not None:
                users.setdefault(one.policies.archive_cleanup_policy.key, set()).add(key)
        bodies = {key: snapshot.find(archive_cleanup_policies.NODE, key) for key in users}
        snapshot.memo[kept] = {
            key: UsedPolicy(key, body, frozenset(users[key])) for key, body in bodies.items() if body is not None
        }
    found: Mapping[str, UsedPolicy] = snapshot.memo[kept]
    return found


def policy_of(snapshot: Snapshot, archive: TrailArchive) -> ArchivePolicy | None:
    """Return the policy whose target leads to an archived trail: one that names its bucket, else the one that it was sent by.

    A bucket may have moved with what is in it: what comes from there is proven by its digest.
    """
    own = snapshot.find(archive_cleanup_policies.NODE, archive.policy_key)
    if own is not None and label_of(own) == archive.target:
        return own
    others = (body for _, body in snapshot.each(archive_cleanup_policies.NODE) if label_of(body) == archive.target)
    moved = own if own is not None and isinstance(own.target, S3Target) else None
    return next(others, moved)
