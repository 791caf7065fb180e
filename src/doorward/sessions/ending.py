"""Which sessions a commit ends, and why: those whose policy, account, credential or mapping it takes away. Pure.

A session is told by what it logged in with; control knows that of each. The plan counts them beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from doorward.configuration.aaa.local_database import users as accounts
from doorward.configuration.ssh import connections, options
from doorward.configuration.ssh.authentication_policies import AccountsBackend, LocalBackend
from doorward.host.plan import Action
from doorward.sessions.admission import map_user
from doorward.sessions.policies import ConnectionPolicy, connection_policy
from doorward.store.port import Edit
from doorward.tree.snapshot import Snapshot

DECIDING = tuple(f"/api/configuration/{branch}/" for branch in ("aaa", "network", "policies", "ssh"))
"""Below these is everything that a connection policy is made of, and those whom it lets in."""


def concerned(edits: Iterable[Edit]) -> bool:
    """Whether a commit can end sessions. With most commits no session has to be looked at."""
    return any(edit.place.path.startswith(DECIDING) for edit in edits)


class Entered(Struct, frozen=True):
    """How a session came in. ``policy``: key of its connection policy.

    ``user`` is the gateway user, "" without a login there, ``groups`` its groups then, ``server_user`` who it is on the server,
    ``credential`` what it logged in with: the key of a password, an OpenSSH public key without comment, or "" for all else.
    """

    policy: str
    user: str = ""
    groups: frozenset[str] = frozenset()
    server_user: str = ""
    credential: str = ""


def why_over(after: Snapshot, session: Entered) -> str | None:
    """Return why a session ends once a configuration runs; None: it goes on."""
    if not options.is_enabled(after):
        return "SSH was switched off."
    connection = after.find(connections.NODE, session.policy) if session.policy else None
    if connection is None:
        return "The connection policy was removed."
    if not connection.active:
        return "The connection policy was made inactive."
    policy = connection_policy(after, session.policy)
    if session.user and not _is_known(after, policy, session):
        return "The account, or what it logged in with, was removed."
    if session.server_user and map_user(policy.mapping, session.user, session.groups, session.server_user) != session.server_user:
        return f"The usermapping no longer allows {session.server_user}."
    return None


def _is_known(after: Snapshot, policy: ConnectionPolicy, session: Entered) -> bool:
    """Whether the gateway still lets the user in by the credential. Directories, RADIUS and certificates are asked at a login."""
    backend = policy.authentication.backend
    if isinstance(backend, LocalBackend) and policy.users is not None:
        for user in policy.users.users:
            if user.username == session.user:
                known = {reference.key for reference in user.passwords} | {*user.public_keys}
                return not session.credential or session.credential in known
        return False
    if isinstance(backend, AccountsBackend):
        account = next((one for _, one in after.each(accounts.NODE) if one.name.casefold() == session.user.casefold()), None)
        if account is None:
            return False
        known = {*account.public_keys} | ({account.password.key} if account.password else set())
        return not session.credential or session.credential in known
    return True


def policies_ended(before: Snapshot, after: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield key and name of the connection policies whose sessions all end, from one configuration to the other."""
    if not options.is_enabled(before):
        return
    for key, one in before.each(connections.NODE):
        if one.active and why_over(after, Entered(key)) is not None:
            yield key, one.name


def drops(before: Snapshot, after: Snapshot, count: Callable[[str], int]) -> Iterator[Action]:
    """Yield what a plan says of the sessions of policies that end. ``count`` tells how many a policy has now."""
    for key, name in policies_ended(before, after):
        if (sessions := count(key)) > 0:
            text = f"end {sessions} session{'' if sessions == 1 else 's'} of {name}"
            yield Action(text, "sessions_drop", f"{connections.PATH}/{key}")
