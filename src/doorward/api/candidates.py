"""The one way in which a request writes into the candidate of its login session."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from doorward.access.logins import LoginSession
from doorward.api.request import Request
from doorward.transaction.candidate import Candidate, Running


@dataclass(slots=True)
class CandidateDraft:
    """What becomes the candidate of a login session once it is written; it may be replaced until then."""

    login: LoginSession
    candidate: Candidate


@asynccontextmanager
async def written_in_turn(
    request: Request, running: Callable[[], Running], *, copied: bool = True
) -> AsyncIterator[CandidateDraft]:
    """Wait for the turn of a request that writes, and give it a candidate, which opens by itself.

    A block that fails leaves no trace; nor does one whose caller lost the right or the login session meanwhile: then 401 or 403.
    ``copied`` False: the block gets the open candidate itself, and changes nothing in it unless it succeeds.
    """
    async with request.turn() as login:
        opened = login.candidate
        candidate = Candidate.on(running()) if opened is None else opened.copy() if copied else opened
        draft = CandidateDraft(login, candidate)
        yield draft
        request.check_again()
        login.candidate = draft.candidate
