"""Orders of clients: once for each key, in turn, and not while another commit awaits its confirmation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from doorward.transaction.commits import (
    CommitOutcome,
    CommitService,
    NothingToConfirmError,
    PendingConfirmationError,
    ReusedKeyError,
)
from doorward.transaction.conflicts import ConflictingChange, ConflictingChangesError
from doorward.transaction.order import Order
from doorward.transaction.queue import CommitQueue
from tests.unit.transaction.rig import ROOT, ZONE, Rig

if TYPE_CHECKING:
    from doorward.store.port import CommitRecord
    from doorward.transaction.candidate import Candidate


@pytest.fixture
def service(rig: Rig) -> Iterator[CommitService]:
    with contextlib.closing(CommitQueue()) as queue:
        yield CommitService(rig.pipeline, queue, rig.confirmations)


def permitted() -> None:
    """Nobody lost a right meanwhile."""


def order(key: str | None = "mine", request: str = "a hash", account: str = "-1", **more: Any) -> Order:
    return Order("admin", "192.0.2.9", idempotency_key=key, request=request, account=account, everything=True, **more)


def zone(rig: Rig, name: str) -> Candidate:
    candidate = rig.candidate()
    rig.put(candidate, ZONE, name)
    return candidate


def committing(service: CommitService, candidate: Candidate) -> Callable[[Order], Awaitable[CommitRecord]]:
    return lambda order: service.commit(order, permitted, lambda order: (candidate, order))


def once(service: CommitService, order: Order, candidate: Candidate) -> CommitOutcome:
    return asyncio.run(service.once(order, committing(service, candidate)))


def test_a_key_is_carried_out_once(rig: Rig, service: CommitService) -> None:
    first = once(service, order(), zone(rig, "Asia/Tokyo"))
    again = once(service, order(), zone(rig, "Europe/Paris"))
    assert (first.is_replayed, again.is_replayed) == (False, True)
    assert again.record == first.record
    assert rig.value(ZONE) == "Asia/Tokyo"


def test_a_key_belongs_to_one_request(rig: Rig, service: CommitService) -> None:
    once(service, order(), zone(rig, "Asia/Tokyo"))
    with pytest.raises(ReusedKeyError):
        once(service, order(request="another hash"), zone(rig, "Europe/Paris"))


@pytest.mark.parametrize("other", [order(account="7"), order(None)])
def test_others_are_not_concerned_by_it(rig: Rig, service: CommitService, other: Order) -> None:
    once(service, order(), zone(rig, "Asia/Tokyo"))
    assert not once(service, other, zone(rig, "Europe/Paris")).is_replayed
    assert rig.value(ZONE) == "Europe/Paris"


def test_two_requests_with_one_key_at_the_same_time_are_one_commit(rig: Rig, service: CommitService) -> None:
    async def both() -> list[CommitOutcome]:
        candidates = zone(rig, "Asia/Tokyo"), zone(rig, "Europe/Paris")
        return await asyncio.gather(*(service.once(order(), committing(service, candidate)) for candidate in candidates))

    first, second = asyncio.run(both())
    assert (first.is_replayed, second.is_replayed) == (False, True)
    assert rig.value(ZONE) == "Asia/Tokyo"


def test_a_refused_order_may_come_again(rig: Rig, service: CommitService) -> None:
    async def refuse(_order: Order) -> CommitRecord:
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(service.once(order(), refuse))
    assert not once(service, order(), zone(rig, "Asia/Tokyo")).is_replayed
    assert service.pipeline.now_doing == {}


def test_whoever_lost_the_right_commits_nothing(rig: Rig, service: CommitService) -> None:
    def check() -> None:
        raise PermissionError

    candidate = zone(rig, "Asia/Tokyo")
    with pytest.raises(PermissionError):
        service.commit_now(order(), check, lambda order: (candidate, order))
    assert rig.value(ZONE) != "Asia/Tokyo"


def test_a_conflict_names_the_author(rig: Rig, service: CommitService) -> None:
    candidate = zone(rig, "Asia/Tokyo")
    other = rig.committed((ZONE, "Europe/Paris"))
    with pytest.raises(ConflictingChangesError, match="1 place was changed") as caught:
        service.commit_now(order(), permitted, lambda order: (candidate, order))
    assert caught.value.conflicts == [ConflictingChange("admin", ROOT + ZONE, other.revision or 0, "Europe/Paris")]


class TestConfirmation:
    @pytest.fixture(autouse=True)
    def pending(self, rig: Rig, service: CommitService) -> None:
        once(service, order(confirm_seconds=60), zone(rig, "Asia/Tokyo"))

    def test_nobody_else_commits_meanwhile(self, rig: Rig, service: CommitService) -> None:
        with pytest.raises(PendingConfirmationError) as caught:
            once(service, order("another"), zone(rig, "Europe/Paris"))
        assert (caught.value.user, caught.value.failure, caught.value.commit) == ("admin", None, None)
        assert caught.value.remaining_seconds is not None

    def test_its_account_confirms_it(self, rig: Rig, service: CommitService) -> None:
        assert asyncio.run(service.confirm("-1", permitted, lambda: False)) == rig.number
        assert not once(service, order("another"), zone(rig, "Europe/Paris")).is_replayed

    def test_another_account_does_not(self, service: CommitService) -> None:
        with pytest.raises(NothingToConfirmError):
            asyncio.run(service.confirm("7", permitted, lambda: True))

    def test_whoever_may_write_everything_does_where_it_can_not_be_taken_back(self, rig: Rig, service: CommitService) -> None:
        rig.confirmations._refused("it is gone", {})
        with pytest.raises(PendingConfirmationError) as caught:
            once(service, order("another"), zone(rig, "Europe/Paris"))
        assert caught.value.failure == "it is gone"
        assert str(caught.value.commit).startswith("/api/commits/")
        with pytest.raises(NothingToConfirmError):
            asyncio.run(service.confirm("7", permitted, lambda: False))
        assert asyncio.run(service.confirm("7", permitted, lambda: True)) == rig.number


def test_there_may_be_nothing_to_confirm(service: CommitService) -> None:
    with pytest.raises(NothingToConfirmError):
        asyncio.run(service.confirm("-1", permitted, lambda: True))
