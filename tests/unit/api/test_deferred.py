"""Children that are made when somebody asks for one: once, however many ask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from doorward.api.resources import Container, Deferred, Resource


def test_the_children_are_made_once_when_the_first_is_asked_for() -> None:
    made: list[Resource] = []
    together = threading.Barrier(2)

    def make() -> dict[str, Resource]:
        made.append(Container({}))
        return {"one": made[-1]}

    def asked() -> Resource:
        together.wait()
        return deferred.children["one"]

    deferred = Deferred(make)
    assert made == []
    with ThreadPoolExecutor(2) as pool:
        found = [asking.result() for asking in [pool.submit(asked), pool.submit(asked)]]
    assert found == made * 2
    assert deferred.make()["one"] is made[0]
