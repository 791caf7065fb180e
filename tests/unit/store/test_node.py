"""Who a node is."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from doorward.store.node import node_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from doorward.store.port import Store


def test_a_node_gets_an_id_once_and_keeps_it(open_store: Callable[[], Store]) -> None:
    made = node_id(open_store())
    assert str(uuid.UUID(made)) == made
    assert node_id(open_store()) == made
