"""Changes of who belongs to the cluster, each in a candidate."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

import pytest

from doorward.cluster.changes import REPAIR, MembershipChanges, check_central
from doorward.cluster.pairing import new_psk
from doorward.configuration import passwords
from doorward.membership import join_request, nodes, promote
from doorward.membership.cluster_role import cluster_role
from doorward.tree.problems import SemanticError
from tests.unit.transaction.rig import TREE, Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from doorward.transaction.candidate import Candidate

OWN, OTHER = str(uuid.uuid4()), str(uuid.uuid4())
HERE, THERE = "127.0.0.1", "192.0.2.7"
CHANGES = MembershipChanges(TREE, OWN)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path).started()
    yield made
    made.close()


@pytest.fixture
def candidate(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Candidate:
    """The candidate of a node whose cluster interface is open."""
    monkeypatch.setattr("doorward.cluster.changes.interface.listen_address", lambda _snapshot: HERE)
    return rig.candidate()


@pytest.fixture
def central(candidate: Candidate) -> Candidate:
    CHANGES.promote(candidate)
    return candidate


def refused(work: Callable[[], object]) -> tuple[str, str]:
    """The code and the path of the one problem."""
    with pytest.raises(SemanticError) as caught:
        work()
    [problem] = caught.value.problems
    return problem.code, problem.path


def test_a_node_without_its_interface_neither_promotes_nor_joins(rig: Rig) -> None:
    candidate = rig.candidate()
    assert refused(lambda: CHANGES.promote(candidate)) == ("cluster_interface_disabled", promote.PATH)
    assert refused(lambda: CHANGES.ask_to_join(candidate, THERE, "psk")) == ("cluster_interface_disabled", join_request.PATH)


def test_promotion_makes_it_central_once(central: Candidate) -> None:
    known = cluster_role(central.snapshot)
    assert (known.state, known.central_node_id) == ("central", OWN)
    assert refused(lambda: CHANGES.promote(central)) == ("already_in_cluster", promote.PATH)
    assert refused(lambda: CHANGES.ask_to_join(central, THERE, "psk")) == ("already_in_cluster", join_request.PATH)
    assert refused(lambda: CHANGES.leave(central)) == ("central_role", join_request.PATH)


def test_only_central_management_changes_members(candidate: Candidate) -> None:
    assert refused(lambda: check_central(candidate.snapshot, REPAIR)) == ("not_central", REPAIR)
    accept = partial(CHANGES.accept, candidate, OTHER, THERE, new_psk(), is_paired=False)
    assert refused(accept) == ("not_central", nodes.PATH)
    assert refused(lambda: CHANGES.repair(candidate, [])) == ("not_central", REPAIR)


def secrets(candidate: Candidate) -> set[str]:
    return set(candidate.snapshot.objects(passwords.PATH).order)


def test_a_node_that_is_not_paired_is_accepted_anew_with_another_secret(central: Candidate) -> None:
    before = secrets(central)
    CHANGES.accept(central, OTHER, THERE, "first", is_paired=False)
    CHANGES.accept(central, OTHER, THERE, "second", is_paired=False)
    assert len(secrets(central) - before) == 1
    assert list(central.secrets.values()) == ["second"]
    assert refused(lambda: CHANGES.accept(central, OTHER, THERE, "third", is_paired=True)) == ("already_in_cluster", nodes.PATH)
    assert refused(lambda: CHANGES.accept(central, OWN, THERE, "third", is_paired=False)) == ("already_in_cluster", nodes.PATH)


def test_two_members_do_not_share_an_address(central: Candidate) -> None:
    accept = CHANGES.accept
    assert refused(lambda: accept(central, OTHER, HERE, "psk", is_paired=False)) == (
        "duplicate_address",
        f"{nodes.PATH}/{OTHER}",
    )


def test_the_role_of_central_management_can_not_be_given(central: Candidate) -> None:
    CHANGES.accept(central, OTHER, THERE, "psk", is_paired=False)
    body = nodes.MemberBody(address=THERE, roles=["central-management"])
    assert refused(lambda: CHANGES.change_member(central, OTHER, body)) == ("central_role", f"{nodes.PATH}/{OTHER}")
    CHANGES.change_member(central, OTHER, nodes.MemberBody(address="192.0.2.8", roles=[]))
    member = central.snapshot.find(nodes.NODE, OTHER)
    assert member is not None
    assert member.address == "192.0.2.8"


def test_a_member_goes_with_its_secret(central: Candidate) -> None:
    before = secrets(central)
    CHANGES.accept(central, OTHER, THERE, "psk", is_paired=False)
    CHANGES.remove(central, OTHER)
    assert (secrets(central), central.secrets) == (before, {})
    assert refused(lambda: CHANGES.remove(central, OWN)) == ("central_role", f"{nodes.PATH}/{OWN}")


def test_a_join_request_is_made_moved_and_withdrawn(candidate: Candidate) -> None:
    assert refused(lambda: CHANGES.look_elsewhere(candidate, THERE)) == ("not_in_cluster", join_request.PATH)
    assert refused(lambda: CHANGES.leave(candidate)) == ("not_in_cluster", join_request.PATH)
    assert refused(lambda: CHANGES.ask_to_join(candidate, HERE, "psk")) == ("own_address", join_request.PATH)
    before = secrets(candidate)
    assert CHANGES.ask_to_join(candidate, THERE, "psk") == HERE
    assert list(CHANGES.look_elsewhere(candidate, "192.0.2.8").central_addresses) == ["192.0.2.8", THERE]
    CHANGES.leave(candidate)
    assert cluster_role(candidate.snapshot).state == "standalone"
    assert (secrets(candidate), candidate.secrets) == (before, {})


def test_a_repair_is_newer_than_what_any_node_holds(central: Candidate) -> None:
    assert refused(lambda: CHANGES.repair(central, [])) == ("no_history_fork", REPAIR)
    far = 1 << 40
    assert CHANGES.repair(central, [{"applied": {"epoch": far}}, {"applied": None}]) == far + 1
    assert central.snapshot.value(promote.PATH)["epoch"] == far + 1
