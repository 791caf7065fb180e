"""What a commit means for sessions that run: they keep their rules, and end with what let them in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from doorward.configuration.ssh.authentication_policies import CertificateMethod
from doorward.proxy.control.proofs import blob_of
from doorward.proxy.control.session import Session
from doorward.sessions.ending import Entered, concerned, why_over
from doorward.sessions.policies import ConnectionPolicy, connection_policy
from doorward.transaction.merge import Merged
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

_NAMED = 5
_CREDENTIALS = frozenset({"password", "public_key"})


def revoked(session: Session, snapshot: Snapshot) -> str | None:
    """Return why a session may not go on under a configuration, for its user; None: it may."""
    for entered in _entered(session):
        reason = why_over(snapshot, entered)
        if reason is not None:
            return reason
    now = connection_policy(snapshot, session.connection.key)
    before, after = session.connection.policy.authentication.backend, now.authentication.backend
    if session.person.name and before.selection != after.selection:
        return "Users log in another way now."
    authorities = _authorities(now)
    trusted = all(blob_of(proof.of) in authorities for proof in session.person.proofs if proof.kind == "authority")
    return None if trusted else "The authority of its user's certificate is no longer trusted."


def _entered(session: Session) -> Iterator[Entered]:
    """Yield how a session came in, once for everything that its user logged in with."""
    person, target = session.person, session.target
    credentials = [proof.of for proof in person.proofs if proof.kind in _CREDENTIALS] or [""]
    for credential in credentials:
        yield Entered(
            session.connection.key, person.name, frozenset(person.groups), target.user if target is not None else "", credential
        )


def _authorities(policy: ConnectionPolicy) -> set[bytes | None]:
    method = policy.authentication.client.certificate
    return {blob_of(line) for line in method.authorities} if isinstance(method, CertificateMethod) else set()


def dropped(sessions: Iterable[Session], merged: Merged) -> list[Problem]:
    """Return the warning of a commit that ends sessions."""
    if not concerned(merged.edits):
        return []
    ending = [session.id for session in sessions if session.is_kept and revoked(session, merged.snapshot) is not None]
    if not ending:
        return []
    more = f" and {len(ending) - _NAMED} more" if len(ending) > _NAMED else ""
    count = "1 running session ends" if len(ending) == 1 else f"{len(ending)} running sessions end"
    return [Problem("sessions_drop", f"{count}: {', '.join(sorted(ending)[:_NAMED])}{more}.", "", "/api/configuration/ssh")]
