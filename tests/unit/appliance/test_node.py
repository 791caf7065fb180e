"""What a node does beside its event loop."""

from __future__ import annotations

import asyncio

from doorward.appliance.node import in_loop


def test_work_for_an_event_loop_that_has_ended_is_let_go() -> None:
    done: list[int] = []
    loop = asyncio.new_event_loop()
    in_loop(loop, done.append, 1)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    in_loop(loop, done.append, 2)
    assert done == [1]
