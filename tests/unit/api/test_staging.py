"""The changes of one request, as they are put into a candidate."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from doorward.access.rights import Rights
from doorward.api.batch_order import Post
from doorward.api.staging import RefusedChangesError, Staging
from doorward.transaction.batch import BatchChange
from tests.unit.transaction.rig import ROOT, TREE, USERS, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    rig = Rig(tmp_path)
    login = SimpleNamespace(rights=Rights(everything=True), account="-1")
    shared = SimpleNamespace(
        tree=TREE, running=lambda: rig.pipeline.running, check_scope=lambda *_: None, probe=lambda *_: None
    )  # fmt: skip
    bodies = [{"name": name, "password": None} for name in ("jane", "joe")]
    sent: list[Any] = [Post(method="POST", path=ROOT + USERS, body=body) for body in bodies]
    changes = [BatchChange("POST", body) for body in bodies]
    yield Staging(shared, login, sent, changes)  # type: ignore[arg-type]
    rig.close()


def test_changes_at_one_endpoint_are_put_in_together(staging: Staging) -> None:
    objects = staging.candidate().snapshot.objects(ROOT + USERS)
    assert [objects.entries[key].document.name for key in objects.order[-2:]] == ["jane", "joe"]


def test_a_right_that_went_after_the_look_ahead_is_missed_in_the_turn(staging: Staging) -> None:
    staging.look_ahead()
    staging.login.rights = Rights()  # type: ignore[misc]
    with pytest.raises(RefusedChangesError) as refused:
        staging.candidate()
    assert refused.value.answer.status == 403
