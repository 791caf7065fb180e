"""What a commit means for sessions that run: they keep their rules, and end with what let them in."""

from __future__ import annotations

from collections.abc import Iterable

from doorward.access.accounts import account_in
from doorward.configuration import passwords
from doorward.configuration.ssh.authentication_policies import CertificateMethod, LocalBackend
from doorward.proxy.control.connections import Connection, active
from doorward.proxy.control.proofs import blob_of
from doorward.proxy.control.session import Proof, Session
from doorward.sessions.admission import map_user
from doorward.transaction.merge import Merged
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

_NAMED = 5


def revoked(session: Session, snapshot: Snapshot, revision: int = 0) -> str | None:
    """Return why a session may not go on under a configuration, for its user; None: it may."""
    now = active(snapshot, session.connection.key, revision)
    if now is None:
        return "Its connection policy is no longer active."
    person, target = session.person, session.target
    if person.name:
        before, after = session.connection.policy.authentication.backend, now.policy.authentication.backend
        if type(before) is not type(after):
            return "Users log in another way now."
        if isinstance(after, LocalBackend) and not _has_user(now, person.name):
            return "Its user is no longer in the user database."
        if not all(_holds(proof, now, person.name, snapshot) for proof in person.proofs):
            return "What its user logged in with is no longer valid."
    if target is not None and map_user(now.policy.mapping, person.name, person.groups, target.user) != target.user:
        return "Its user may no longer be this user on servers."
    return None


def _has_user(connection: Connection, name: str) -> bool:
    users = connection.policy.users
    return users is not None and any(user.username == name for user in users.users)


def _holds(proof: Proof, connection: Connection, name: str, snapshot: Snapshot) -> bool:
    """Whether something that a user logged in with would still do."""
    users = connection.policy.users
    user = next((user for user in users.users if user.username == name), None) if users is not None else None
    match proof.kind:
        case "account":
            account = account_in(snapshot, proof.of)
            return account is not None and account.name == name
        case "password" if user is not None:
            return any(reference.key == proof.of for reference in user.passwords)
        case "password":  # of an account; its owner lets go of it when it gets another one
            return bool(snapshot.who_refers_to(Place(passwords.PATH, proof.of).href))
        case "public_key":
            return user is not None and blob_of(proof.of) in [blob_of(line) for line in user.public_keys]
        case "authority":
            client = connection.policy.authentication.client.certificate
            return isinstance(client, CertificateMethod) and blob_of(proof.of) in [blob_of(line) for line in client.authorities]
        case _:
            return False


def dropped(sessions: Iterable[Session], merged: Merged) -> list[Problem]:
    """Return the warning of a commit that ends sessions."""
    ending = [session.id for session in sessions if session.is_kept and revoked(session, merged.snapshot) is not None]
    if not ending:
        return []
    more = f" and {len(ending) - _NAMED} more" if len(ending) > _NAMED else ""
    count = "1 running session ends" if len(ending) == 1 else f"{len(ending)} running sessions end"
    return [Problem("sessions_drop", f"{count}: {', '.join(sorted(ending)[:_NAMED])}{more}.", "", "/api/configuration/ssh")]
