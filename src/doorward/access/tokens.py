"""Tokens: long-lived stand-ins for a login, for programs. Made by an account for itself, and never more than the account is now.

A token is ``dw_`` and 43 characters, of which a SHA-256 alone is kept: with 256 random bits nobody needs a slower hash. It ends
when its time is over, when it is removed, and with the account: with its name and its password too, as login sessions do.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
import structlog
from msgspec import Struct

from doorward.access.accounts import Account
from doorward.access.rights import Rights
from doorward.store.records import RecordKeeper, Records
from doorward.tree.jsontext import prepared
from doorward.tree.times import stamp

log = structlog.get_logger()

KIND = "token"
"""The kind of the records."""
PREFIX = "dw_"
MAX_OF_ONE_ACCOUNT = 100
_BYTES = 32
_LENGTH = len(PREFIX) + 43


@prepared
class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is kept.

    ``account``, ``user`` and ``password`` are keys and name of the account when it was made. ``paths`` are subtrees of the
    API and ``networks`` those it may come from; none of either means no limit. Times are RFC 3339; ``used`` is exact to a minute.
    """

    id: str
    digest: str
    account: str
    user: str
    password: str | None
    name: str
    rights: Literal["read", "own"]
    paths: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    created: str
    expires: str
    used: str | None = None

    def __repr__(self) -> str:
        return f"Token({self.id!r})"

    @property
    def proven(self) -> Account:
        """The account that it was made for, as it was then."""
        return Account(self.account, self.user, Rights(), self.password)


class TokenRequest(Struct, frozen=True):
    """What a token is asked to be like."""

    name: str
    expires_days: int
    rights: Literal["read", "own"]
    paths: tuple[str, ...]
    networks: tuple[str, ...]


class Grant(Struct, frozen=True):
    """A token in use."""

    token: Token
    tokens: Tokens

    @property
    def is_live(self) -> bool:
        """Whether the token is still there and in time. In any thread."""
        return self.tokens.has(self.token)

    @property
    def reads_only(self) -> bool:
        """Whether nothing may be changed with it."""
        return self.token.rights == "read"

    def limited(self, rights: Rights) -> Rights:
        """Return what of the rights of its account the token has: none once it has ended."""
        return rights.limited(self.token.paths) if self.is_live else Rights()


class TooManyTokensError(Exception):
    """An account has as many tokens as it may have."""


class Tokens:
    """All tokens. ``account_now`` returns an account as it is now. Safe in any thread; what writes blocks."""

    def __init__(
        self,
        store: RecordKeeper,
        account_now: Callable[[str], Account | None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._records = Records(store, KIND, Token)
        self._account_now, self._now = account_now, now
        self._writing = threading.Lock()
        self._by_digest = {token.digest: token for token in reversed(self._records.find())}
        self._used: dict[str, str] = {}
        """When tokens were last used, as far as it was not written down yet, by id."""
        self.ended: Callable[[Iterable[Token]], None] | None = None
        """Told of tokens that have ended, in any thread."""

    def find(self, text: str, address: str) -> Grant | None:
        """Return what a token that came from an address grants; None where it is not, or not from there. Notes the use."""
        if len(text) != _LENGTH:
            return None
        token = self._by_digest.get(_digest(text))
        if token is None or not self._stands(token) or not _comes_from(address, token.networks):
            return None
        self._used[token.id] = stamp(self._now())
        return Grant(token, self)

    def has(self, token: Token) -> bool:
        """Whether a token has not ended."""
        return token.digest in self._by_digest and token.expires > stamp(self._now())

    def _stands(self, token: Token) -> bool:
        """Whether a token is in time and its account what it was."""
        return self.has(token) and token.proven.is_same(self._account_now(token.account))

    def all(self) -> list[Token]:
        """Return the tokens that have not ended, those made last first, with their last use."""
        standing = [token for token in reversed(tuple(self._by_digest.values())) if self._stands(token)]
        return [self._with_use(token) for token in standing]

    def _with_use(self, token: Token) -> Token:
        used = self._used.get(token.id)
        return token if used is None else msgspec.structs.replace(token, used=used)

    def make(self, account: Account, wanted: TokenRequest) -> tuple[Token, str]:
        """Make a token for an account; return it and its text, which nobody sees again. Raises TooManyTokensError."""
        text = PREFIX + secrets.token_urlsafe(_BYTES)
        now = self._now()
        token = Token(
            id=str(uuid.uuid4()), digest=_digest(text), account=account.key, user=account.name, password=account.password,
            name=wanted.name, rights=wanted.rights, paths=wanted.paths, networks=wanted.networks,
            created=stamp(now), expires=stamp(now + timedelta(days=wanted.expires_days)),
        )  # fmt: skip
        with self._writing:
            if sum(other.account == account.key for other in self.all()) >= MAX_OF_ONE_ACCOUNT:
                raise TooManyTokensError
            self._records.put(token)
            self._by_digest = {**self._by_digest, token.digest: token}
        log.info("token made", token=token.id, user=token.user, expires=token.expires)
        return token, text

    def remove(self, *ended: Token) -> None:
        """Forget tokens: they are good for nothing from now on, and after any crash once this returns."""
        if not ended:
            return
        with self._writing:
            gone = {token.digest for token in ended}
            self._by_digest = {digest: token for digest, token in self._by_digest.items() if digest not in gone}
            self._records.remove(*(token.id for token in ended))
            for token in ended:
                self._used.pop(token.id, None)
                log.info("token ended", token=token.id, user=token.user)
        if self.ended is not None:
            self.ended(ended)

    def prune(self) -> None:
        """Forget the tokens that have ended by time, or with their account."""
        self.remove(*(token for token in tuple(self._by_digest.values()) if not self._stands(token)))

    def write_uses(self) -> None:
        """Write down when tokens were last used."""
        with self._writing:
            used, self._used = self._used, {}
            changed = [
                msgspec.structs.replace(token, used=used[token.id]) for token in self._by_digest.values() if token.id in used
            ]
            if changed:
                self._records.put(*changed)
                self._by_digest = {**self._by_digest, **{token.digest: token for token in changed}}


def token_in(header: str) -> str | None:
    """Return the token of an ``Authorization`` field; None where it brings none of ours."""
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    return value if scheme.lower() == "bearer" and value.startswith(PREFIX) else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _comes_from(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address is in one of the networks; none of them means everywhere."""
    if not networks:
        return True
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(network) for network in networks)
