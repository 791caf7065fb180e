"""What can happen to a cluster, in any order: schedules are made, kept short where they fail, and shown by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from doorward import __version__

NAMES = ("centre", "one", "two", "three", "four")

anybody = st.sampled_from(NAMES)
node = st.sampled_from(NAMES[1:])
values = st.integers(0, 9)
settings = st.sampled_from(("zone", "servers", "timeout", "user"))
seconds = st.sampled_from((0.5, 2.0, 5.0, 12.0, 30.0, 65.0, 130.0))
trials = st.sampled_from((10, 60, 300))
RELEASES = (__version__, "9.9.9")


class Schedules(RuleBasedStateMachine):
    """Events of a schedule. ``begin`` makes the world in which they happen; it is looked at after each of them."""

    begin: ClassVar[Callable[[str, int], Any]]
    templates: ClassVar[tuple[str, ...]] = ("joined", "joined", "fresh")
    world: Any = None
    whole = True

    @initialize(template=st.data(), seed=st.integers(0, 99))
    def made(self, template: Any, seed: int) -> None:
        self.world = type(self).begin(template.draw(st.sampled_from(self.templates), label="template"), seed)

    # What administrators do

    def commit(self, what: str, value: int) -> None:
        self.world.commit(what, value)

    # What is drawn more often than others stands here more often.
    commits = rule(what=settings, value=values)(commit)
    commits_more = rule(what=settings, value=values)(commit)

    @rule(name=node, value=values)
    def local(self, name: str, value: int) -> None:
        self.world.local(name, value)

    @rule(name=node, value=values)
    def meddle(self, name: str, value: int) -> None:
        self.world.meddle(name, value)

    @rule(name=node)
    def ask(self, name: str) -> None:
        self.world.ask(name)

    @rule(name=node)
    def accept(self, name: str) -> None:
        self.world.accept(name)

    @rule(name=node)
    def join(self, name: str) -> None:
        self.world.ask(name)
        self.world.accept(name)

    def give(self, name: str, managed: bool) -> None:
        self.world.give(name, managed=managed)

    gives = rule(name=node, managed=st.booleans())(give)
    gives_more = rule(name=node, managed=st.booleans())(give)

    @rule(name=node)
    def remove(self, name: str) -> None:
        self.world.remove(name)

    @rule(name=node)
    def leave(self, name: str) -> None:
        self.world.leave(name)

    @rule(name=anybody, time=trials)
    def try_out(self, name: str, time: int) -> None:
        self.world.try_out(name, time)

    @rule(what=settings, value=values, time=trials)
    def try_a_commit(self, what: str, value: int, time: int) -> None:
        self.world.try_out("centre", time)
        self.world.commit(what, value)

    @rule(name=node, managed=st.booleans(), time=trials)
    def try_roles(self, name: str, managed: bool, time: int) -> None:
        self.world.try_out("centre", time)
        self.world.give(name, managed=managed)

    @rule(name=anybody)
    def confirm(self, name: str) -> None:
        self.world.confirm(name)

    @rule(name=anybody, release=st.sampled_from(RELEASES))
    def upgrade(self, name: str, release: str) -> None:
        self.world.upgrade(name, release)

    @rule(name=anybody, release=st.sampled_from(RELEASES), what=settings, value=values)
    def upgrade_and_commit(self, name: str, release: str, what: str, value: int) -> None:
        self.world.upgrade(name, release)
        self.world.commit(what, value)
        self.world.advance(5.0)

    # What machines and networks do

    @rule(one=anybody, other=anybody, both=st.booleans())
    def cut(self, one: str, other: str, both: bool) -> None:
        if one != other:
            self.world.cut(one, other, both=both)

    @rule()
    def heal(self) -> None:
        self.world.heal()

    @rule(loss=st.sampled_from((0.0, 0.05, 0.3)), delay=st.sampled_from((0.0, 0.1, 3.0)))
    def worsen(self, loss: float, delay: float) -> None:
        self.world.worsen(loss, delay)

    @rule(name=anybody)
    def kill(self, name: str) -> None:
        self.world.kill(name)

    def start(self, name: str) -> None:
        self.world.start(name)

    starts = rule(name=anybody)(start)
    starts_more = rule(name=anybody)(start)

    def advance(self, time: float) -> None:
        self.world.advance(time)

    passes = rule(time=seconds)(advance)
    passes_on = rule(time=seconds)(advance)
    goes_by = rule(time=seconds)(advance)
    runs = rule(time=seconds)(advance)
    flies = rule(time=seconds)(advance)

    # At the end

    @invariant()
    def everything_said_is_true(self) -> None:
        if self.world is not None:
            self.whole = False
            self.world.check()
            self.whole = True

    def teardown(self) -> None:
        if self.world is not None:
            try:
                if self.whole:
                    self.world.settle()
            finally:
                self.world.close()


class Simulated(Schedules):
    """What only a simulated world can do: clocks that jump, deaths at a step, other addresses, backups, refusing machines."""

    @rule(name=anybody, steps=st.integers(0, 30))
    def kill_at(self, name: str, steps: int) -> None:
        self.world.kill_at(name, steps)

    @rule(name=anybody, by=st.sampled_from((-7200.0, -300.0, -45.0, 45.0, 300.0, 7200.0)))
    def jump(self, name: str, by: float) -> None:
        self.world.jump(name, by)

    @rule(name=node, refuses=st.booleans())
    def refuse(self, name: str, refuses: bool) -> None:
        self.world.refuse(name, refuses=refuses)

    @rule(name=anybody)
    def move(self, name: str) -> None:
        self.world.move(name)

    @rule(name=node)
    def register(self, name: str) -> None:
        self.world.register(name)

    @rule(what=settings, value=values, calls=st.integers(0, 5))
    def commit_amid(self, what: str, value: int, calls: int) -> None:
        self.world.net.amid = calls, lambda: self.world.commit(what, value)

    @rule()
    def back_up(self) -> None:
        self.world.back_up()

    @rule()
    def restore(self) -> None:
        self.world.restore()
