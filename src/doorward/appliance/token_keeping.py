"""The tokens of a node through its life: ended with their accounts, their last use written down."""

from __future__ import annotations

from doorward.access.logins import Logins
from doorward.access.tokens import Tokens
from doorward.areas.area import Area
from doorward.areas.worker import Worker
from doorward.store.port import Edit
from doorward.transaction.candidate import Running

_EVERY_SECONDS = 60.0


class TokenKeeping(Area):
    """Forgets tokens whose accounts were changed, and those whose time is over."""

    is_early = True

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._worker = Worker("tokens", self._turn)

    def start(self) -> None:
        """Begin. The first turn forgets what ended while the node was down."""
        self._worker.start()

    def stop(self) -> None:
        """End, with all uses written down."""
        self._worker.stop()
        self._tokens.write_uses()

    def published(self, before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
        """Forget the tokens of accounts that a commit changed."""
        del before, after
        if Logins.concerned(edits):
            self._tokens.prune()

    def _turn(self) -> float:
        self._tokens.prune()
        self._tokens.write_uses()
        return _EVERY_SECONDS
