"""Asking a directory who somebody is, by the settings of ``policies/ldap_servers``: LDAP with TLS or STARTTLS (RFC 4511, 4513).

A user is searched for, then proven by a bind as its entry. The library, bonsai, is built on the machine (see
``docs/operations.md``); without it every login against a directory is refused with the reason. All of it blocks.
"""

from __future__ import annotations

import os
import select
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

from msgspec import Struct

from doorward.access.directory_tunnel import tunnel
from doorward.configuration import x509
from doorward.configuration._tls import Disabled, ServerCertificateCheck
from doorward.configuration.policies.ldap_servers import (
    AdSchema,
    LdapServers,
    MembershipCheck,
    PosixMemberOfCheck,
    PosixSchema,
    Server,
)
from doorward.tree.plaintext import plain
from doorward.tree.snapshot import Snapshot

STEP_SECONDS = 10.0
"""How long one question to a server may take."""
TOTAL_SECONDS = 30.0
"""How long all of it may take, over all servers."""
MAX_GROUPS = 1_000
MAX_NAME = 256
MAX_PASSWORD = 1024
_MAX_WORDS = 200
_SAM = "sAMAccountName"
_MEMBER_OF = "memberOf"
_AMBIGUOUS = 2
_TICK_SECONDS = 0.02


class DirectoryError(Exception):
    """The directory gave no answer that counts.

    ``code``: ``library``, ``connect``, ``tls``, ``bind``, ``search``, ``ambiguous`` or ``timeout``. The message is for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(plain(message, _MAX_WORDS))
        self.code = code


class DirectoryUser(Struct, frozen=True):
    """A user of a directory: the login name, its entry, the names of its groups."""

    name: str
    dn: str
    groups: tuple[str, ...] = ()


class Directory(Struct, frozen=True):
    """A directory. ``password`` returns what to bind with, None: anonymous. ``authority``: who must have signed, in PEM."""

    settings: LdapServers
    password: Callable[[], str | None] | None = None
    authority: str | None = None

    def authenticate(self, user: str, password: str) -> DirectoryUser | None:
        """Return the user whose password it is; None: it is wrong, or there is no such user. Raises DirectoryError."""
        # A bind without a password is an anonymous one, which succeeds (RFC 4513, section 5.1.2).
        if not password or len(password.encode()) > MAX_PASSWORD or "\x00" in password:
            return None
        with self._bound() as asked:
            member = asked.find(user)
            return member if member is not None and asked.proves(member.dn, password) else None

    def find(self, user: str) -> DirectoryUser | None:
        """Return a user; None: there is none. Raises DirectoryError."""
        with self._bound() as asked:
            return asked.find(user)

    def probe(self) -> str:
        """Log in and look at both bases; return which server it was. Raises DirectoryError."""
        with self._bound() as asked:
            for base in (self.settings.user_base_dn, self.settings.group_base_dn):
                asked.look_at(base)
            return asked.server

    @contextmanager
    def _bound(self) -> Iterator[_Asked]:
        """Log in at the first server that can be reached."""
        bonsai = _bonsai()
        password = None
        if self.password is not None and (password := self.password()) is None:
            raise DirectoryError("bind", "The password to bind with is not here.")
        deadline, last = time.monotonic() + TOTAL_SECONDS, DirectoryError("connect", "There is no server.")
        for server in self.settings.servers:
            if time.monotonic() > deadline:
                raise DirectoryError("timeout", "No server answered in time.")
            asked = _Asked(bonsai, self.settings, server, self.authority, deadline)
            with asked.closing:
                try:
                    asked.open(password)
                except DirectoryError as error:
                    last = error
                    if error.code not in {"connect", "timeout", "tls"}:
                        raise
                    continue
                yield asked
                return
        raise last


class _Asked:
    """One server that is asked."""

    def __init__(self, bonsai: Any, settings: LdapServers, server: Server, authority: str | None, deadline: float) -> None:
        self._bonsai, self._settings, self._place, self._deadline = bonsai, settings, server, deadline
        host = f"[{server.host.value}]" if ":" in server.host.value else server.host.value
        self.server = f"{host}:{server.port}"
        self._authority = authority
        self._connection: Any = None
        self.closing = ExitStack()

    def open(self, password: str | None) -> None:
        """Log in as who searches. Raises DirectoryError."""
        dn = self._settings.bind_dn if password is not None else None
        self._connection = self.closing.enter_context(self._connected(dn, password))

    def find(self, user: str) -> DirectoryUser | None:
        """Return a user and its groups. Raises DirectoryError."""
        if not user or len(user) > MAX_NAME or "\x00" in user:
            return None
        schema, base = self._settings.schema_, self._settings.user_base_dn
        escaped = self._bonsai.escape_filter_exp(user)
        if isinstance(schema, AdSchema):
            wanted, member_of = f"(&(objectCategory=person)(objectClass=user)({_SAM}={escaped}))", _MEMBER_OF
            read = schema.memberof_check.enabled
        else:
            wanted = f"({schema.username_attribute}={escaped})"
            check = schema.memberof_check
            read = isinstance(check, PosixMemberOfCheck)
            member_of = check.memberof_user_attribute if isinstance(check, PosixMemberOfCheck) else _MEMBER_OF
        found = self._search(base, wanted, [member_of] if read else ["1.1"], _AMBIGUOUS)
        if len(found) > 1:
            raise DirectoryError("ambiguous", f"{self.server} has several entries for one user name.")
        if not found:
            return None
        entry = found[0]
        dn = str(entry.dn)
        groups = [_common_name(self._bonsai, str(value)) for value in _values(entry, member_of)[:MAX_GROUPS]] if read else []
        if isinstance(schema, PosixSchema) and isinstance(schema.membership_check, MembershipCheck):
            groups += self._groups(schema.membership_check.member_uid_attribute, escaped, dn)
        return DirectoryUser(user, dn, tuple(dict.fromkeys(name for name in groups if name)))

    def _groups(self, attribute: str, escaped: str, dn: str) -> Iterator[str]:
        wanted = f"(|({attribute}={escaped})({attribute}={self._bonsai.escape_filter_exp(dn)}))"
        for entry in self._search(self._settings.group_base_dn, wanted, ["cn"], MAX_GROUPS):
            yield from (str(value) for value in _values(entry, "cn")[:1])

    def proves(self, dn: str, password: str) -> bool:
        """Whether an entry can bind with a password. Raises DirectoryError."""
        try:
            with self._connected(dn, password):
                return True
        except DirectoryError as error:
            if error.code == "bind":
                return False
            raise

    def look_at(self, base: str) -> None:
        """Raise DirectoryError unless there is such an entry."""
        if not self._search(base, "(objectClass=*)", ["1.1"], 1, scope=0):
            raise DirectoryError("search", f"{self.server} shows no entry {base}.")

    @contextmanager
    def _connected(self, dn: str | None, password: str | None) -> Iterator[Any]:
        """Give a connection, bound. Raises DirectoryError."""
        try:
            with tunnel(self._settings, self._place, self._authority, self._deadline) as url:
                connection = self._logged_in(url, dn, password)
                try:
                    yield connection
                finally:
                    connection.close()
        except ssl.SSLError as error:
            words = getattr(error, "verify_message", "") or (error.reason or "no TLS").lower().replace("_", " ")
            raise DirectoryError("tls", f"{self.server} can't be talked to by TLS: {words}.") from None
        except TimeoutError:
            raise DirectoryError("timeout", f"{self.server} did not answer in time.") from None
        except OSError as error:
            raise DirectoryError("connect", f"{self.server} can't be reached: {error.strerror or error}.") from None

    def _logged_in(self, url: str, dn: str | None, password: str | None) -> Any:
        errors = self._bonsai.errors
        client = self._bonsai.LDAPClient(url)
        client.set_ignore_referrals(True)
        client.set_server_chase_referrals(False)
        client.set_async_connection_class(_waiting(self._bonsai))
        if dn is not None and password is not None:
            client.set_credentials("SIMPLE", user=dn, password=password)
        try:
            return client.connect(is_async=True, timeout=self._left())
        except errors.TimeoutError:
            raise DirectoryError("timeout", f"{self.server} did not answer in time.") from None
        except (errors.AuthenticationError, errors.InsufficientAccess, errors.UnwillingToPerform) as error:
            raise DirectoryError("bind", f"{self.server} refused the login: {error}.") from None
        except errors.NoSuchObjectError:
            raise DirectoryError("bind", f"{self.server} does not know who logs in.") from None
        except errors.LDAPError as error:
            raise self._failed("connect", f"{self.server} can't be used: {error}.") from None

    def _search(self, base: str, wanted: str, attributes: list[str], most: int, scope: int = 2) -> list[Any]:
        errors = self._bonsai.errors
        try:
            found = self._connection.search(base, scope, wanted, attributes, self._left(), sizelimit=most)
        except errors.SizeLimitError:
            raise DirectoryError("ambiguous", f"{self.server} has more than {most} entries for one question.") from None
        except errors.NoSuchObjectError:
            return []
        except errors.TimeoutError:
            raise DirectoryError("timeout", f"{self.server} did not answer in time.") from None
        except errors.LDAPError as error:
            raise self._failed("search", f"{self.server} can't be searched: {error}.") from None
        return [entry for entry in found if hasattr(entry, "dn")][:most]

    def _failed(self, code: str, words: str) -> DirectoryError:
        """Return a failure. One when the time is over is about that, whatever the library makes of it."""
        is_over = time.monotonic() >= self._deadline
        return DirectoryError("timeout", f"{self.server} did not answer in time.") if is_over else DirectoryError(code, words)

    def _left(self) -> float:
        left = min(STEP_SECONDS, self._deadline - time.monotonic())
        if left <= 0:
            raise DirectoryError("timeout", f"{self.server} did not answer in time.")
        return left


def directory_of(snapshot: Snapshot, settings: LdapServers, secret: Callable[[str], str | None]) -> Directory:
    """Return the directory of some settings. ``secret`` returns secrets by their keys."""
    reference = settings.bind_password
    password = partial(secret, reference.key) if reference is not None else None
    return Directory(settings, password, authority_of(snapshot, settings))


def authority_of(snapshot: Snapshot, settings: LdapServers) -> str | None:
    """Return who must have signed the certificate of a directory, in PEM; None: anybody that the system trusts."""
    encryption = settings.encryption
    check = None if isinstance(encryption, Disabled) else encryption.server_certificate_check
    if not isinstance(check, ServerCertificateCheck) or check.server_certificate_ca is None:
        return None
    found = snapshot.find(x509.NODE, check.server_certificate_ca.key)
    return found.certificate if found is not None else None


def _values(entry: Any, attribute: str) -> list[Any]:
    return list(entry.get(attribute, []))


def _common_name(bonsai: Any, dn: str) -> str:
    """Return the name of a group by its entry's: the value of the first part."""
    try:
        return str(bonsai.LDAPDN(dn).rdns[0][0][1])
    except (bonsai.errors.InvalidDN, IndexError, ValueError):
        return ""


@cache
def _waiting(bonsai: Any) -> type:
    """Return a connection that waits without holding up other threads, which the library's own synchronous one does."""

    class WaitingConnection(bonsai.ldapconnection.BaseLDAPConnection):  # type: ignore[misc]  # the library may be missing
        def __init__(self, client: Any) -> None:
            super().__init__(client, True)  # noqa: FBT003 - the library's signature

        def _evaluate(self, msg_id: int, timeout: float | None = None) -> Any:
            end = time.monotonic() + (STEP_SECONDS if timeout is None else timeout)
            while (found := self.get_result(msg_id)) is None:
                if time.monotonic() > end:
                    raise bonsai.errors.TimeoutError("Timeout.")
                select.select([self.fileno()], [], [], _TICK_SECONDS)
            return found

    return WaitingConnection


def _bonsai() -> Any:
    """Return the library. Raises DirectoryError."""
    os.environ.setdefault("LDAPNOINIT", "1")  # the settings of the machine's own LDAP clients count for nothing
    try:
        import bonsai
    except ImportError:
        raise DirectoryError("library", "Directories need the library bonsai, which is not installed.") from None
    return bonsai
