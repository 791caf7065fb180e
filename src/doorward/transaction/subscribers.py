"""Who is told of commits: some before the answer leaves, others a moment later. What they do wrong can't undo the commit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from doorward.store.port import Edit, Revision
from doorward.transaction.candidate import Running

log = structlog.get_logger()

Published = Callable[[Running, Running, tuple[Edit, ...]], None]
Followed = Callable[[Revision, tuple[Edit, ...]], None]


class CommitSubscribers:
    """Told in the commit thread, in the order in which they came."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        """Told before a commit answers: what has to be in effect by then."""
        self.following: list[Followed] = []
        """Told of a commit by ``put_off``: what may as well be done a moment later."""
        self.put_off: Callable[[Callable[[], None]], None] = _do

    def tell(self, before: Running, running: Running, edits: tuple[Edit, ...]) -> None:
        """Tell of what runs now."""
        for tell in self.published:
            try:
                tell(before, running, edits)
            except Exception:
                log.exception("a listener failed after a commit", revision=running.number)

    def tell_later(self, revision: Revision, edits: tuple[Edit, ...]) -> None:
        """Tell the others once the answer has left."""
        if self.following:
            self.put_off(partial(self._follow, revision, edits))

    def _follow(self, revision: Revision, edits: tuple[Edit, ...]) -> None:
        for follow in self.following:
            try:
                follow(revision, edits)
            except Exception:
                log.exception("a listener failed after a commit", revision=revision.number)


def _do(work: Callable[[], None]) -> None:
    work()
