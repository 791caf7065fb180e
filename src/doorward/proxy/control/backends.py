"""Who may log in at the gateway: the backends of authentication policies, by one port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

from msgspec import Struct

from doorward.access.accounts import Account
from doorward.access.directory import Directory, DirectoryError, DirectoryUser
from doorward.access.passwords import matches, unmatched
from doorward.access.radius import Radius, RadiusEndpoint, RadiusError
from doorward.configuration.policies.user_databases import DatabaseUser, UserDatabase
from doorward.configuration.ssh.authentication_policies import (
    AccountsBackend,
    LdapBackend,
    LocalBackend,
    NoBackend,
    RadiusBackend,
)
from doorward.proxy.control.connections import ResolvedPolicy
from doorward.proxy.control.ports import Secret
from doorward.proxy.control.proofs import blob_of
from doorward.proxy.control.session import LoginProof, Person

_Given = ParamSpec("_Given")
_T = TypeVar("_T")


class BackendError(Exception):
    """It can't be found out who it is: a server does not answer, or is not who it should be. The message is for the log."""


class Challenge(Struct, frozen=True):
    """One more question. ``state`` comes back with the answer; ``echo``: the answer may be shown."""

    text: str
    state: bytes
    echo: bool = False


class Backend(Protocol):
    """Finds out who somebody is. All raise BackendError."""

    async def check(self, user: str, answer: str, state: bytes | None = None) -> Person | Challenge | None:
        """Try a password, or the answer to a challenge. None: it is wrong, or there is no such user."""

    async def key_holder(self, user: str, blob: bytes) -> Person | None:
        """Return the user if a public key is one of its own."""

    async def known(self, user: str) -> Person | None:
        """Return the user if there is one: an authority that is trusted says who it is."""


class LocalUsers:
    """The users of a database."""

    def __init__(self, database: UserDatabase, secret: Secret, threads: Executor) -> None:
        self._users = {user.username: user for user in database.users}
        self._secret, self._threads = secret, threads

    async def check(self, user: str, answer: str, _state: bytes | None = None) -> Person | None:
        """Compare with every password of the user."""
        found = self._users.get(user)
        keys = [reference.key for reference in found.passwords] if found else []
        right = await run(self._threads, self._right, keys, answer)
        return _local(found, LoginProof("password", right)) if found and right else None

    def _right(self, keys: Sequence[str], answer: str) -> str:
        """Return the key of the password that is right. Where there is none, one of nobody is compared with."""
        kept = [(key, text) for key in keys if (text := self._secret(key))] or [("", unmatched())]
        right = [key for key, text in kept if matches(text, answer)]
        return right[0] if right else ""

    async def key_holder(self, user: str, blob: bytes) -> Person | None:
        """Look among the public keys of the user."""
        found = self._users.get(user)
        line = next((line for line in (found.public_keys if found else ()) if blob_of(line) == blob), None)
        return _local(found, LoginProof("public_key", line)) if found and line is not None else None

    async def known(self, user: str) -> Person | None:
        """Look the user up."""
        found = self._users.get(user)
        return _local(found) if found else None


def _local(user: DatabaseUser, *proofs: LoginProof) -> Person:
    return Person(user.username, tuple(user.groups), proofs)


class ApplianceAccounts:
    """The appliance's own accounts.

    ``authenticate`` takes name and password; it blocks. ``find`` looks up by name, ``keys`` public keys by the account's key.
    """

    def __init__(
        self, authenticate: Callable[[tuple[str, str]], Account | None], find: Callable[[str], Account | None],
        keys: Callable[[str], Sequence[str]], threads: Executor,
    ) -> None:  # fmt: skip
        self._authenticate, self._find, self._keys, self._threads = authenticate, find, keys, threads

    async def check(self, user: str, answer: str, _state: bytes | None = None) -> Person | None:
        """Log in as at the API."""
        account = await run(self._threads, self._authenticate, (user, answer))
        if account is None:
            return None
        return self._person(account, *((LoginProof("password", account.password),) if account.password else ()))

    async def key_holder(self, user: str, blob: bytes) -> Person | None:
        """Look among the public keys of the account."""
        account = self._find(user)
        line = next((line for line in (self._keys(account.key) if account else ()) if blob_of(line) == blob), None)
        return self._person(account, LoginProof("public_key", line)) if account is not None and line is not None else None

    async def known(self, user: str) -> Person | None:
        """Look the account up."""
        account = self._find(user)
        return self._person(account) if account is not None else None

    @staticmethod
    def _person(account: Account, *proofs: LoginProof) -> Person:
        return Person(account.name, account.rights.groups, proofs)


class DirectoryUsers:
    """The users of a directory: who can bind, is who it says."""

    def __init__(self, directory: Directory, threads: Executor) -> None:
        self._directory, self._threads = directory, threads

    async def check(self, user: str, answer: str, _state: bytes | None = None) -> Person | None:
        """Bind as the user."""
        return await self._asked(self._directory.authenticate, user, answer)

    async def key_holder(self, _user: str, _blob: bytes) -> Person | None:
        """No attribute is set for public keys."""
        return None

    async def known(self, user: str) -> Person | None:
        """Search for the user."""
        return await self._asked(self._directory.find, user)

    async def _asked(
        self, ask: Callable[_Given, DirectoryUser | None], *given: _Given.args, **named: _Given.kwargs
    ) -> Person | None:
        try:
            member = await run(self._threads, ask, *given, **named)
        except DirectoryError as error:
            raise BackendError(str(error)) from error
        return None if member is None else Person(member.name, member.groups)


class RadiusUsers:
    """RADIUS servers, with their challenges."""

    def __init__(self, radius: Radius, threads: Executor) -> None:
        self._radius, self._threads = radius, threads

    async def check(self, user: str, answer: str, state: bytes | None = None) -> Person | Challenge | None:
        """Ask the servers. Raises BackendError."""
        try:
            reply = await run(self._threads, self._radius.ask, user, answer, state)
        except RadiusError as error:
            raise BackendError(str(error)) from error
        if reply.state is not None:
            return Challenge(f"{reply.message or 'Response'}: ", reply.state, reply.echo)
        return Person(user) if reply.accepted else None

    async def key_holder(self, _user: str, _blob: bytes) -> Person | None:
        """RADIUS knows of no public keys."""
        return None

    async def known(self, user: str) -> Person | None:
        """RADIUS tells nobody whether there is a user: the word of the authority has to do."""
        return Person(user)


class Backends(Struct, frozen=True):
    """Makes the backend of a connection policy. ``node``: what the gateway is called towards RADIUS servers."""

    secret: Secret
    threads: Executor
    authenticate: Callable[[tuple[str, str]], Account | None]
    find_account: Callable[[str], Account | None]
    account_keys: Callable[[str], Sequence[str]]
    node: str = "doorward"

    def of(self, connection: ResolvedPolicy, client: str) -> Backend | None:
        """Return the backend; None: nobody logs in here. ``client``: the address of who logs in."""
        policy, threads = connection.policy, self.threads
        match policy.authentication.backend:
            case NoBackend():
                return None
            case LocalBackend():
                return LocalUsers(policy.users or UserDatabase(name="", users=[]), self.secret, threads)
            case AccountsBackend():
                return ApplianceAccounts(self.authenticate, self.find_account, self.account_keys, threads)
            case LdapBackend():
                return DirectoryUsers(self.directory(connection), threads)
            case RadiusBackend(servers=servers, timeout=timeout):
                known = [RadiusEndpoint(one.host.value, one.port, partial(self.secret, one.secret.key)) for one in servers]
                return RadiusUsers(Radius(known, timeout, self.node, client), threads)

    def directory(self, connection: ResolvedPolicy) -> Directory:
        """Return the directory of a connection. Raises BackendError where it has none."""
        settings = connection.policy.directory
        if settings is None:
            raise BackendError("The connection has no directory.")
        reference = settings.bind_password
        password = partial(self.secret, reference.key) if reference is not None else None
        return Directory(settings, password, connection.directory_authority)


async def run(threads: Executor, work: Callable[_Given, _T], *given: _Given.args, **named: _Given.kwargs) -> _T:
    """Do blocking work in threads that are there for it."""
    return await asyncio.get_running_loop().run_in_executor(threads, partial(work, *given, **named))
