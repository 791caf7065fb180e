"""Write-once objects that nobody ever owned go after a while."""

from __future__ import annotations

from doorward.transaction.sweep import unowned
from tests.unit.transaction.rig import GOOD_PASSWORD, PASSWORDS, TREE, USERS, Rig, place

LATER, EARLIER = "9999-01-01T00:00:00Z", "2000-01-01T00:00:00Z"


def test_what_nobody_owns_goes_once_it_is_old_enough(rig: Rig) -> None:
    candidate = rig.candidate()
    alone = rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    owned = rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    rig.post(candidate, USERS, {"name": "jane", "password": owned})
    rig.commit(candidate)
    assert unowned(TREE, rig.pipeline.running, EARLIER) is None
    swept = unowned(TREE, rig.pipeline.running, LATER)
    assert swept is not None
    assert [edit.place for edit in swept.edits()] == [place(PASSWORDS, alone)]
    rig.commit(swept)
    assert rig.value(PASSWORDS, alone) is None
    assert rig.value(PASSWORDS, owned) is not None
    assert unowned(TREE, rig.pipeline.running, LATER) is None


def test_somebody_who_found_an_owner_meanwhile_keeps_it(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    rig.commit(candidate)
    swept = unowned(TREE, rig.pipeline.running, LATER)
    assert swept is not None
    candidate = rig.candidate()
    rig.post(candidate, USERS, {"name": "jane", "password": secret})
    rig.commit(candidate)
    assert [problem.code for problem in rig.pipeline.plan(swept).problems] == ["referenced"]
