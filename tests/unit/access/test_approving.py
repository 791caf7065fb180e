"""Whose acceptance counts, what follows from the last one, and what a crash or the clock leaves of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from doorward.access.approving import LostRightsError, NoApproverError, ProposalEndedError, in_emergency_group
from doorward.membership import join_request
from doorward.store.port import SEALED_PROPOSAL
from doorward.transaction.commits import PendingConfirmationError
from doorward.transaction.conflicts import ConflictingChangesError
from doorward.transaction.order import Order
from doorward.transaction.pipeline import ApplyFailed
from doorward.transaction.reset import NotResetError, reset_approval
from doorward.transaction.untold import tell
from doorward.tree.places import Place
from doorward.tree.problems import SemanticError
from tests.support.approval_rig import APPROVAL, ApprovalRig
from tests.unit.transaction.rig import GOOD_PASSWORD, GROUPS, PASSWORDS, SERVERS, USERS, WEB, ZONE, ip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

A, B = [ip("198.51.100.1")], [ip("198.51.100.2")]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[ApprovalRig]:
    found = ApprovalRig(tmp_path, "datetime")
    yield found
    found.close()


@pytest.fixture
def two_needed(tmp_path: Path) -> Iterator[ApprovalRig]:
    found = ApprovalRig(tmp_path, "datetime", required=2)
    yield found
    found.close()


def test_a_guarded_commit_waits_as_a_whole_and_takes_effect_with_the_last_acceptance(office: ApprovalRig) -> None:
    before, timeout = office.rig.number, office.rig.value("management/email")
    name = office.proposed((SERVERS, A), ("management/email", timeout | {"sender_address": "node@example.com"}), message="new")
    assert office.rig.number == before
    assert office.rig.sources() != b"server 198.51.100.1 iburst\n"
    done = office.decide(name, "eve")
    assert (done.state, done.revision) == ("done", before + 1)
    assert office.rig.sources() == b"server 198.51.100.1 iburst\n"
    assert office.rig.value("management/email")["sender_address"] == "node@example.com"
    revision = office.rig.store.revision(before + 1)
    assert revision is not None
    assert (revision.author, revision.approvers, revision.emergency, revision.message) == ("ann", "eve", 0, "new")
    assert office.rig.store.check() == []
    record = office.rig.store.commit_record(name)
    assert record is not None
    assert (record.state, record.revision, record.account) == ("done", before + 1, office.keys["ann"])


def test_what_no_rule_names_takes_effect_at_once(office: ApprovalRig) -> None:
    assert office.commit(("management/health_monitoring", _monitoring(office))).state == "done"


def _monitoring(office: ApprovalRig) -> Any:
    return office.rig.value("management/health_monitoring") | {"maximum_load1": 9}


def test_two_different_people_have_to_accept(two_needed: ApprovalRig) -> None:
    name = two_needed.proposed((SERVERS, A))
    assert two_needed.decide(name, "eve").state == "waiting"
    assert two_needed.decide(name, "eve").state == "waiting"
    assert [(one.required, one.accepted) for one in two_needed.approving.awaited(two_needed.proposal(name))] == [(2, ("eve",))]
    assert two_needed.decide(name, "bob").state == "done"
    revision = two_needed.rig.store.revision(two_needed.rig.number)
    assert revision is not None
    assert revision.approvers == "bob eve"


def test_the_author_does_not_count_though_in_the_group(office: ApprovalRig) -> None:
    name = office.proposed((SERVERS, A))
    with pytest.raises(NoApproverError, match="own account"):
        office.decide(name, "ann")
    with pytest.raises(NoApproverError, match="none of the groups"):
        office.decide(name, "kim")


def test_who_may_not_read_all_of_it_may_not_accept(office: ApprovalRig) -> None:
    lines = [line for line in office.rig.value("aaa/acls") if line["group"] != "security"]
    lines += [{"group": "security", "objects": ["/api/configuration/datetime/timezone"], "permission": "read"}]
    office.rig.committed(("aaa/acls", lines), when_guarded="pass")
    name = office.proposed((SERVERS, A))
    with pytest.raises(NoApproverError, match="may not read everything"):
        office.decide(name, "eve")
    assert office.decide(office.proposed((ZONE, "Europe/Vienna")), "eve").state == "done"


@pytest.mark.parametrize("how", ["password", "group"])
def test_an_acceptance_is_void_when_the_author_touched_the_account_since(two_needed: ApprovalRig, how: str) -> None:
    office = two_needed
    name = office.proposed((SERVERS, A))
    office.decide(name, "eve")
    rig, eve = office.rig, office.keys["eve"]
    candidate = rig.candidate()
    if how == "password":
        password = rig.post(candidate, PASSWORDS, {"plain": f"{GOOD_PASSWORD} mine"})
        rig.put(candidate, USERS, {"name": "eve", "password": password}, eve)
    else:
        rig.put(candidate, GROUPS, {"name": "firemen", "members": [office.keys["kim"], eve]}, office.keys["firemen"])
    rig.commit(candidate, "ann", account=office.keys["ann"], when_guarded="pass", everything=True)
    assert office.decide(name, "bob").state == "waiting"
    with pytest.raises(NoApproverError, match="changed the password or the groups"):
        office.decide(name, "eve")
    assert office.rig.sources() != b"server 198.51.100.1 iburst\n"


def test_somebody_elses_change_of_an_account_makes_nothing_void(two_needed: ApprovalRig) -> None:
    name = two_needed.proposed((SERVERS, A))
    two_needed.decide(name, "eve")
    members = [two_needed.keys["kim"], two_needed.keys["eve"]]
    candidate = two_needed.rig.candidate()
    two_needed.rig.put(candidate, GROUPS, {"name": "firemen", "members": members}, two_needed.keys["firemen"])
    two_needed.rig.commit(candidate, when_guarded="pass")
    assert two_needed.decide(name, "bob").state == "done"


def test_who_left_the_group_no_longer_counts(two_needed: ApprovalRig) -> None:
    office, rig = two_needed, two_needed.rig
    name = office.proposed((SERVERS, A))
    office.decide(name, "eve")
    candidate = rig.candidate()
    members = [office.keys[one] for one in ("bob", "ann", "kim")]
    rig.put(candidate, GROUPS, {"name": "security", "members": members}, office.keys["security"])
    # Who writes may read it all the same.
    writers = [office.keys[one] for one in ("ann", "kim", "eve")]
    rig.put(candidate, GROUPS, {"name": "writers", "members": writers}, office.keys["writers"])
    rig.commit(candidate, when_guarded="pass")
    assert office.decide(name, "bob").state == "waiting"


def test_a_group_that_became_too_small_is_a_contradiction(two_needed: ApprovalRig) -> None:
    office, rig = two_needed, two_needed.rig
    candidate = rig.candidate()
    rig.put(candidate, GROUPS, {"name": "security", "members": [office.keys["bob"], office.keys["eve"]]}, office.keys["security"])
    with pytest.raises(SemanticError) as refused:
        rig.commit(candidate, when_guarded="pass")
    assert [(one.code, one.pointer) for one in refused.value.problems] == [("contradiction", "/rules/0/approvers")]
    candidate = rig.candidate()
    rig.put(candidate, USERS, {"name": "eve", "password": None}, office.keys["eve"])
    with pytest.raises(SemanticError, match="2 members"):
        rig.commit(candidate, when_guarded="pass")


def test_a_rejection_ends_it_and_so_does_its_author(office: ApprovalRig) -> None:
    first, second = office.proposed((SERVERS, A)), office.proposed((SERVERS, B))
    assert office.decide(first, "eve", "reject", "too early").state == "rejected"
    record = office.rig.store.commit_record(first)
    assert record is not None
    assert (record.state, record.error) == ("failed", {"reason": "eve rejected it: too early", "type": "Rejected"})
    with pytest.raises(ProposalEndedError):
        office.decide(first, "bob")
    with pytest.raises(NoApproverError):
        office.approving.withdraw(second, office.keys["eve"])
    assert office.approving.withdraw(second, office.keys["ann"]).state == "withdrawn"
    assert office.rig.store.records(SEALED_PROPOSAL) == []


def test_it_is_merged_onto_what_runs_by_then(office: ApprovalRig) -> None:
    name = office.proposed((SERVERS, A))
    office.rig.committed((ZONE, "Europe/Vienna"), when_guarded="pass")
    assert office.decide(name, "eve").state == "done"
    assert (office.rig.value(ZONE), office.rig.value(SERVERS)) == ("Europe/Vienna", A)


def test_a_conflict_leaves_everything_there(office: ApprovalRig) -> None:
    name = office.proposed((SERVERS, A))
    office.rig.committed((SERVERS, B), when_guarded="pass")
    with pytest.raises(ConflictingChangesError) as collided:
        office.decide(name, "eve")
    assert [(one.author, one.path) for one in collided.value.conflicts] == [("admin", "/api/configuration/datetime/ntp_servers")]
    found = office.proposal(name)
    assert (found.state, [one.user for one in found.decisions]) == ("conflicting", ["eve"])
    office.rig.committed((SERVERS, [{"selection": "fqdn", "value": "pool.ntp.org"}]), when_guarded="pass")
    assert office.decide(name, "eve").state == "done"


def test_a_host_that_refuses_leaves_it_to_be_accepted_once_more(office: ApprovalRig) -> None:
    name = office.proposed((SERVERS, A))
    office.rig.host.fail_at = 0
    with pytest.raises(ApplyFailed):
        office.decide(name, "eve")
    assert office.proposal(name).state == "failed"
    office.rig.host.fail_at = None
    assert office.decide(name, "eve").state == "done"


def test_an_author_who_lost_the_right_gets_nothing_accepted(office: ApprovalRig) -> None:
    name = office.proposed((SERVERS, A))
    lines = [line for line in office.rig.value("aaa/acls") if line["group"] != "writers"]
    office.rig.committed(("aaa/acls", lines), when_guarded="pass")
    with pytest.raises(LostRightsError) as lost:
        office.decide(name, "eve")
    assert lost.value.paths == ["/api/configuration/datetime/ntp_servers"]
    assert office.proposal(name).state == "failed"


def test_a_secret_waits_sealed_and_is_gone_with_the_end(office: ApprovalRig) -> None:
    rig = office.rig
    candidate = rig.candidate()
    password = rig.post(candidate, PASSWORDS, {"plain": "the next password of bob"})
    rig.put(candidate, USERS, {"name": "bob", "password": password}, office.keys["bob"])
    record = rig.commit(candidate, "ann", account=office.keys["ann"], when_guarded="propose", everything=True)
    assert record.state == "proposed"
    [sealed] = rig.store.records(SEALED_PROPOSAL)
    assert "next password" not in repr(sealed)
    assert office.decide(record.id, "eve").state == "done"
    assert rig.store.records(SEALED_PROPOSAL) == []
    assert (rig.secrets.text(password) or "").startswith("$argon2id$")


def test_a_trial_begins_at_the_acceptance(office: ApprovalRig) -> None:
    name = office.proposed((SERVERS, A), confirm_seconds=600)
    second = office.proposed((ZONE, "Europe/Vienna"))
    assert office.rig.store.confirmation() is None
    office.decide(name, "eve")
    pending = office.rig.confirmations.pending
    assert pending is not None
    assert (pending.user, office.rig.confirmations.remaining_seconds) == ("ann", 600)
    with pytest.raises(PendingConfirmationError):
        office.decide(second, "eve")
    office.rig.confirmations.go_back()
    assert office.rig.value(SERVERS) != A


def test_an_emergency_is_marked_and_told(office: ApprovalRig) -> None:
    snapshot = office.rig.pipeline.running.snapshot
    assert [in_emergency_group(snapshot, office.keys[name]) for name in ("kim", "ann")] == [True, False]
    office.commit((SERVERS, A), user="kim", when_guarded="pass", emergency=True, message="fire")
    revision = office.rig.store.revision(office.rig.number)
    assert revision is not None
    assert revision.approval == {"emergency": True}
    told: list[str] = []
    tell(office.rig.store, lambda key, text, path: told.append(f"{key} {path}: {text}"))
    assert told == [f"emergency_change /api/revisions/{revision.number}: kim changed without approval"]
    tell(office.rig.store, lambda *event: told.append(repr(event)))
    assert len(told) == 1
    office.commit(("management/health_monitoring", _monitoring(office)), user="kim", when_guarded="pass", emergency=True)
    unguarded = office.rig.store.revision(office.rig.number)
    assert unguarded is not None
    assert not unguarded.emergency


@pytest.mark.parametrize(
    ("path", "value"), [("aaa/acls", []), (WEB, {"timeout": 9}), (APPROVAL, {"enabled": False})], ids=["aaa", "web", "approval"]
)
def test_what_could_switch_it_off_is_guarded_whatever_the_rules_say(office: ApprovalRig, path: str, value: Any) -> None:
    assert office.commit((path, value), user="admin").state == "proposed"
    with pytest.raises(SemanticError, match="security must approve"):
        office.commit((path, value), user="admin", when_guarded="refuse")


def test_who_belongs_to_the_cluster_is_guarded_too(office: ApprovalRig) -> None:
    candidate = office.rig.candidate()
    body = {"central_management_address": "192.0.2.1", "node_id": "46f97a58-4028-467d-9a22-9cfe78ae3e1c"}
    candidate.put(Place(join_request.PATH), office.rig.tree.load(Place(join_request.PATH), body))
    assert office.rig.commit(candidate, when_guarded="propose").state == "proposed"


def test_it_waits_through_a_restart_and_a_crash_at_the_acceptance_says_what_runs(office: ApprovalRig) -> None:
    name = office.proposed((SERVERS, A))
    proposals = office.approving.proposals
    proposals.save(_in_state(office, name, "accepted"))
    office.restarted()
    found = office.proposal(name)
    assert found.state == "failed"
    assert found.error is not None
    assert found.error["reason"].startswith("The server ended before it took effect")
    assert office.decide(name, "eve").state == "done"
    office.restarted()
    assert office.proposal(name).state == "done"


def _in_state(office: ApprovalRig, name: str, state: Any) -> Any:
    return msgspec.structs.replace(office.proposal(name), state=state)


class Moved:
    """A clock that the test moves: by time that passes, and by setting it."""

    def __init__(self) -> None:
        self.passed = self.set = 0.0
        self.name = "boot"

    def time(self) -> float:
        return 1_800_000_000.0 + self.passed + self.set

    def monotonic(self) -> float:
        return 1_000.0 + self.passed

    def boot(self) -> str:
        return self.name


def test_time_ends_it_and_setting_the_clock_does_not(office: ApprovalRig) -> None:
    clock = office.approving.proposals.clock = Moved()  # type: ignore[assignment]
    name, other = office.proposed((SERVERS, A)), office.proposed((SERVERS, B))
    for clock.set in (-1.6e8, -1e7, -11.0, 3600.0, 1e7, 1.6e8):
        assert office.proposal(name).state == "waiting"
    clock.passed = 71 * 3600
    assert office.proposal(name).state == "waiting"
    clock.passed = 72 * 3600
    assert office.proposal(name).state == "expired"
    with pytest.raises(ProposalEndedError, match="expired"):
        office.decide(name, "eve")
    office.approving.proposals.tidy()
    record = office.rig.store.commit_record(other)
    assert record is not None
    assert (record.state, record.error) == ("failed", {"reason": "Nobody accepted it in time.", "type": "Expired"})


def test_another_boot_never_gives_it_more_time(office: ApprovalRig) -> None:
    clock = office.approving.proposals.clock = Moved()  # type: ignore[assignment]
    name = office.proposed((SERVERS, A))
    clock.passed, clock.name, clock.set = 36 * 3600, "next", -30 * 86400
    office.approving.proposals.settle()
    assert office.proposal(name).left(clock) == 72 * 3600  # type: ignore[arg-type]
    clock.passed = 108 * 3600
    assert office.proposal(name).state == "expired"


def test_whoever_owns_the_machine_switches_it_off(office: ApprovalRig) -> None:
    name = office.proposed((SERVERS, A))
    number = reset_approval(office.rig.pipeline)
    revision = office.rig.store.revision(number)
    assert revision is not None
    assert (revision.author, office.rig.value(APPROVAL)) == ("doorward", {"enabled": False})
    told: list[str] = []
    tell(office.rig.store, lambda key, *_: told.append(key))
    assert told == ["approval_reset"]
    with pytest.raises(ProposalEndedError, match="withdraw it and commit"):
        office.decide(name, "eve")
    assert office.commit((SERVERS, A)).state == "done"
    with pytest.raises(NotResetError):
        reset_approval(office.rig.pipeline)


def test_an_order_that_says_nothing_is_refused(office: ApprovalRig) -> None:
    candidate = office.rig.candidate()
    office.rig.put(candidate, SERVERS, A)
    with pytest.raises(SemanticError, match="can't wait for that"):
        office.rig.pipeline.commit(candidate, Order("ann", "192.0.2.9"))
