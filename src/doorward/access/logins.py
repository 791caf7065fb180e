"""Login sessions: made by a password, carried by a cookie, ended by time, logout or a change of the account.

All of it lives in the memory of the event loop; a restart ends every login session (protocol, section 7.3). Times are monotonic:
setting the clock neither lengthens nor shortens a login session. What an account may do is looked up whenever it asks.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from doorward.access.accounts import Account, account_in
from doorward.access.rights import Rights
from doorward.access.tokens import Grant, Token
from doorward.configuration.aaa.local_database import users
from doorward.store.port import Edit
from doorward.transaction.candidate import Candidate, Running
from doorward.tree.places import Place
from doorward.tree.snapshot import Snapshot

MAX_OF_ONE_ACCOUNT = 1_000
MAX_LOGIN_SESSIONS = 10_000
_IDLE = "was not active for too long"
_TOO_OLD = "lost its login session: it had lasted as long as one may"
_CHANGED = "lost its login session: the account was changed"
_NO_RIGHTS = Rights()

AccountNow = Callable[[str], Account | None]
"""Returns the account with a key as it is now. Safe in any thread."""


@dataclass(slots=True, eq=False)
class LoginSession:
    """One login session. ``proven`` is its account as it was at the login, ``used`` when the session was last extended.

    ``grant`` is the token that stands for a login: what is done with one has a transaction of its own, as if it had logged in.
    ``next_proven`` is the account with the password that it gives itself by this very session, which outlives that.
    ``revision`` ran when it began.
    """

    proven: Account
    began: float
    used: float
    account_now: AccountNow = field(repr=False)
    token: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)
    candidate: Candidate | None = field(default=None, repr=False)
    ended: bool = False
    writing: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """Held by the request that writes: those of one login session are carried out one after another."""
    grant: Grant | None = None
    next_proven: Account | None = field(default=None, repr=False)
    revision: int = 0

    @property
    def account(self) -> str:
        """The key of the account."""
        return self.proven.key

    @property
    def name(self) -> str:
        """The name of the account. Renaming it ends the login session."""
        return self.proven.name

    @property
    def rights(self) -> Rights:
        """What the account may do now: nothing where it is gone. In any thread, also when the login session has ended."""
        account = self.account_now(self.proven.key)
        if account is None:
            return _NO_RIGHTS
        return account.rights if self.grant is None else self.grant.limited(account.rights)

    @property
    def is_live(self) -> bool:
        """Whether the login session has not ended, and its account is what it was at the login. In any thread."""
        if self.ended or (self.grant is not None and not self.grant.is_live):
            return False
        account = self.account_now(self.proven.key)
        return self.proven.is_same(account) or (self.next_proven is not None and self.next_proven.is_same(account))

    def succeed(self, account: Account | None, password: str) -> None:
        """Outlive the change of the password that is about to be made: the key of the new one."""
        self.next_proven = None if account is None else replace(account, password=password)

    def settle(self) -> None:
        """Take the account for what it has become, or has not: the change was made, or failed."""
        following = self.next_proven
        if following is not None and following.is_same(self.account_now(self.proven.key)):
            self.proven = following
        else:
            self.next_proven = None


class Logins:
    """All live login sessions.

    ``limits`` returns the seconds of inactivity that end one, and the seconds after which it ends however busy it is;
    ``revision`` the number of the one that runs.
    """

    def __init__(
        self,
        account_now: AccountNow,
        limits: Callable[[], tuple[int, int]],
        clock: Callable[[], float] = time.monotonic,
        *,
        revision: Callable[[], int],
    ) -> None:
        self._account_now, self._limits, self._clock, self._revision = account_now, limits, clock, revision
        self._by_digest: OrderedDict[bytes, LoginSession] = OrderedDict()
        """By hash of the cookie value, least recently used first."""
        self._by_age: OrderedDict[bytes, LoginSession] = OrderedDict()
        """The same, oldest first, but for those of tokens, which have no age."""
        self._by_account: dict[str, OrderedDict[bytes, LoginSession]] = {}
        self.ended: Callable[[LoginSession, str], None] | None = None
        """Told of every login session that ends, and how."""

    def __len__(self) -> int:
        return sum(login.grant is None for login in self._by_digest.values())

    @property
    def timeout(self) -> int:
        """Seconds of inactivity that end a login session."""
        return self._limits()[0]

    def open(self, account: Account) -> tuple[LoginSession, str]:
        """Make a login session. Returns it and the value of its cookie, of which only a hash is kept."""
        cookie = secrets.token_hex(20)
        return self._opened(account, _digest(cookie)), cookie

    def by_token(self, grant: Grant, *, extend: bool = True) -> LoginSession:
        """Return what stands for the login session of a token that was found to be good: made anew once its time is over."""
        digest = _of_token(grant.token)
        login = self._by_digest.get(digest)
        if login is not None and (over := self._over(login, self._clock())) is not None:
            self._end(digest, login, over)
            login = None
        if login is None:
            return self._opened(grant.token.proven, digest, grant)
        if extend:
            self._extend(digest, login)
        return login

    def _opened(self, account: Account, digest: bytes, grant: Grant | None = None) -> LoginSession:
        self.expire()
        own = self._by_account.setdefault(account.key, OrderedDict())
        if len(own) >= MAX_OF_ONE_ACCOUNT:
            self._end_oldest(own)
        elif len(self._by_digest) >= MAX_LOGIN_SESSIONS:
            self._end_oldest(self._by_digest)
        now = self._clock()
        login = LoginSession(account, now, now, self._account_now, grant=grant, revision=self._revision())
        self._by_digest[digest] = login
        if grant is None:
            self._by_age[digest] = login
        self._by_account.setdefault(account.key, own)[digest] = login
        return login

    def find(self, cookie: str, *, extend: bool = True) -> LoginSession | None:
        """Return the live login session of a cookie value, and move its end unless told not to."""
        digest = _digest(cookie)
        login = self._by_digest.get(digest)
        if login is None:
            return None
        now = self._clock()
        if (over := self._over(login, now)) is not None:
            self._end(digest, login, over)
            return None
        if extend:
            self._extend(digest, login)
        return login

    def _extend(self, digest: bytes, login: LoginSession) -> None:
        login.used = self._clock()
        self._by_digest.move_to_end(digest)
        self._by_account[login.account].move_to_end(digest)

    def _over(self, login: LoginSession, now: float) -> str | None:
        """Return by what a login session is over; None: it is live."""
        idle, longest = self._limits()
        if now - login.used >= idle:
            return _IDLE
        if now - login.began >= longest and login.grant is None:
            return _TOO_OLD
        return None if login.is_live else _CHANGED

    def check(self, login: LoginSession) -> bool:
        """Whether a login session that was found a while ago is still live; end it if it is not."""
        over = self._over(login, self._clock())
        if over is not None:
            self.close(login, over)
        return over is None

    def remaining(self, login: LoginSession) -> int:
        """Return the whole seconds that a login session has left if it is not used."""
        now, (idle, longest) = self._clock(), self._limits()
        end = login.used + idle if login.grant is not None else min(login.used + idle, login.began + longest)
        return max(0, round(end - now))

    def close(self, login: LoginSession, how: str = "logged out") -> None:
        """End a login session and drop its candidate."""
        for digest, other in self._by_account.get(login.account, {}).copy().items():
            if other is login:
                self._end(digest, login, how)

    def tokens_ended(self, tokens: Iterable[Token]) -> None:
        """Forget what stood for the login sessions of tokens, which nothing finds any more."""
        for digest in map(_of_token, tokens):
            if (login := self._by_digest.get(digest)) is not None:
                self._end(digest, login, _CHANGED)

    def close_all(self, how: str, *, before: int | None = None) -> None:
        """End every login session and drop its candidate; with ``before``, of those that began before a revision ran."""
        for digest, login in self._by_digest.copy().items():
            if before is None or login.revision < before:
                self._end(digest, login, how)

    @staticmethod
    def concerned(edits: tuple[Edit, ...]) -> bool:
        """Whether a commit can end login sessions."""
        return any(edit.place.path == users.PATH for edit in edits)

    def published(self, before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
        """End the login sessions of accounts that were removed, renamed or got another password.

        Whoever has logged in since with what the account is now stays: the event loop hears of a commit a moment later.
        """
        for place in _changed(before.snapshot, after.snapshot, edits):
            now = account_in(after.snapshot, place.key)
            for digest, login in self._by_account.get(place.key, {}).copy().items():
                if not login.proven.is_same(now) and (login.next_proven is None or not login.next_proven.is_same(now)):
                    self._end(digest, login, _CHANGED)

    def would_end(self, before: Snapshot, after: Snapshot, edits: tuple[Edit, ...]) -> Iterator[tuple[Place, str, int]]:
        """Yield the accounts whose login sessions a commit would end: where they stand, their names, how many sessions."""
        self.expire()
        for place in _changed(before, after, edits):
            if own := [login for login in self._by_account.get(place.key, {}).values() if login.grant is None]:
                yield place, own[0].name, len(own)

    def expire(self) -> None:
        """End the login sessions whose time is over. They are dead before, but nobody is told."""
        now = self._clock()
        for orderly in (self._by_digest, self._by_age):
            while orderly:
                digest, login = next(iter(orderly.items()))
                over = self._over(login, now)
                if over is None:
                    break
                self._end(digest, login, over)

    def _end_oldest(self, among: OrderedDict[bytes, LoginSession]) -> None:
        """End the least recently used login session, one without open transaction if there is any."""
        oldest = next(((d, login) for d, login in among.items() if login.candidate is None), next(iter(among.items())))
        self._end(*oldest, "lost its login session: there were too many")

    def _end(self, digest: bytes, login: LoginSession, how: str) -> None:
        login.ended, login.candidate = True, None
        del self._by_digest[digest]
        self._by_age.pop(digest, None)
        own = self._by_account[login.account]
        del own[digest]
        if not own:
            del self._by_account[login.account]
        if self.ended is not None and login.grant is None:
            self.ended(login, how)


def _changed(before: Snapshot, after: Snapshot, edits: tuple[Edit, ...]) -> Iterator[Place]:
    """Yield the accounts that are not what they were."""
    for edit in edits:
        if edit.place.path == users.PATH and _identity(before, edit.place) != _identity(after, edit.place):
            yield edit.place


def _identity(snapshot: Snapshot, place: Place) -> tuple[object, object] | None:
    user = snapshot.find(users.NODE, place.key)
    return None if user is None else (user.name, user.password)


def _of_token(token: Token) -> bytes:
    """Return what stands for the hash of a cookie: of another length, so that no cookie can be a token."""
    return b"token " + token.digest.encode()


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).digest()
