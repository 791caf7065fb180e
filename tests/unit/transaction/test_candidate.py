"""A private copy: the net difference to its base, in the order of the writes."""

from __future__ import annotations

from tests.unit.transaction.rig import GROUPS, SERVERS, USERS, WEB, ZONE, Rig, ip, place


def test_a_fresh_candidate_changes_nothing(rig: Rig) -> None:
    candidate = rig.candidate()
    assert not candidate.changed
    assert list(candidate.edits()) == []
    assert candidate.base is rig.pipeline.running


def test_an_equal_body_is_no_change(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, SERVERS, [{"selection": "fqdn", "value": "POOL.ntp.org."}])
    assert not candidate.changed
    assert candidate.touched == {}


def test_what_was_changed_back_is_no_change(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, WEB, {"timeout": 20})
    assert list(candidate.edits())
    rig.put(candidate, WEB, {"timeout": 10})
    assert list(candidate.edits()) == []
    key = rig.post(candidate, GROUPS, {"name": "g"})
    rig.delete(candidate, GROUPS, key)
    assert not candidate.changed


def test_edits_come_in_the_order_of_the_writes_once_each(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, WEB, {"timeout": 20})
    key = rig.post(candidate, USERS, {"name": "jane"})
    rig.put(candidate, SERVERS, [ip("192.0.2.1")])
    rig.put(candidate, WEB, {"timeout": 30})
    edits = list(candidate.edits())
    assert [edit.place for edit in edits] == [place(WEB), place(USERS, key), place(SERVERS)]
    assert edits[0].old == b'{"timeout":10}'
    assert edits[0].new == b'{"timeout":30}'
    assert edits[1].old is None
    assert edits[1].position == 1


def test_two_candidates_do_not_see_each_other(rig: Rig) -> None:
    one, other = rig.candidate(), rig.candidate()
    rig.put(one, ZONE, "Europe/Budapest")
    assert other.snapshot.value(place(ZONE).path) == rig.value(ZONE)
    assert not other.changed


def test_secrets_do_not_show_when_a_candidate_is_printed(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.post(candidate, "passwords", {"plain": "correct horse battery"})
    assert "correct horse" not in repr(candidate)
