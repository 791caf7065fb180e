"""Commits of time servers, and what their records say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doorward.transaction.pipeline import ApplyFailed
from tests.unit.transaction.rig import SERVERS, Rig, ip

if TYPE_CHECKING:
    from doorward.store.port import CommitRecord
    from doorward.transaction.candidate import Candidate

A, B = [ip("198.51.100.1")], [ip("198.51.100.2")]


def servers(rig: Rig, value: object) -> Candidate:
    candidate = rig.candidate()
    rig.put(candidate, SERVERS, value)
    return candidate


def why_unknown(rig: Rig) -> str | None:
    return rig.pipeline.unknown


def commit_record(rig: Rig, name: str = "t1") -> CommitRecord:
    found = rig.store.commit_record(name)
    assert found is not None
    return found


def failed(rig: Rig, candidate: Candidate) -> ApplyFailed:
    """A commit that fails; the running configuration and the candidate are as before."""
    before, snapshot, documents = rig.pipeline.running, candidate.snapshot, sorted(rig.store.documents())
    with pytest.raises(ApplyFailed) as caught:
        rig.commit(candidate, commit_id="t1")
    assert rig.pipeline.running is before
    assert candidate.snapshot is snapshot
    assert sorted(rig.store.documents()) == documents
    assert rig.pipeline.now_doing == {}
    return caught.value
