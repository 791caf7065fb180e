"""What the catalogue is told of a session, made of what control knows of it."""

from __future__ import annotations

from typing import Any

from cryptography import x509

from doorward.proxy.control.session import LoginProof, Person, Session
from doorward.recording.journal import SUFFIX
from doorward.recording.keys import fingerprint
from doorward.recording.records import MAX_TIME
from doorward.sessions.catalogue.rows import AUTH_FAIL, FAIL, TERMINATED, Facts, Peer, SessionEnd, SessionRow
from doorward.tree.plaintext import plain

WORKER, PROOFS, USER, SEALED = "worker", "proofs", "login", "sealed"
"""Members of the extra facts by which a control that starts anew knows a session again."""
MAX_FACT = 4_096
VERDICTS = frozenset({"ACCEPT", AUTH_FAIL, FAIL, TERMINATED})


def row(session: Session, node: str) -> SessionRow:
    """Return the row of a session that is about to be let in."""
    rules, target = session.connection.rules, session.target
    person = session.person
    return SessionRow(
        key=session.key,
        number=session.number,
        began=int(session.began * 1000),
        node=node,
        policy=rules.policy,
        policy_key=rules.policy_key,
        channel_policy=rules.channel_policy,
        client=Peer(*session.client),
        target=Peer(*session.local),
        revision=rules.revision,
        trail=f"{session.key}{SUFFIX}",
        recipients=tuple(_fingerprint(pem) for pem in rules.audit.screen_certificates),
        gateway_user=person.name,
        gateway_groups=person.groups,
        server_user=target.user if target is not None else "",
        server=Peer(target.addresses[0], target.port, target.name) if target is not None else Peer(),
        auth_method=session.method,
        text=rules.audit.text,
        is_download_logged=session.connection.policy.connection.log_audit_trail_downloads,
        extra=extra(session),
    )


def _fingerprint(pem: str) -> str:
    return fingerprint(x509.load_pem_x509_certificate(pem.encode()))


def extra(session: Session) -> dict[str, Any]:
    """Return what else is kept of a session."""
    return {
        WORKER: session.worker.name if session.worker is not None else "",
        PROOFS: [[proof.kind, proof.of] for proof in session.person.proofs],
        USER: plain(session.user)[:MAX_FACT],
        "client_version": plain(session.client_version)[:MAX_FACT],
        "algorithms": {plain(name)[:MAX_FACT]: plain(value)[:MAX_FACT] for name, value in session.algorithms.items()},
    }


def facts_of_target(session: Session) -> Facts:
    """Return what became known with the target. Raises ValueError."""
    target = session.target
    if target is None:
        raise ValueError("The session has no target yet.")
    return Facts(
        gateway_user=session.person.name,
        gateway_groups=session.person.groups,
        server_user=target.user,
        server=Peer(target.addresses[0], target.port, target.name),
        auth_method=session.method,
    )


def person_of(kept: SessionRow) -> Person:
    """Return who a session is of, by its row."""
    proofs = tuple(LoginProof(str(kind), str(of)) for kind, of in kept.extra.get(PROOFS, []))
    return Person(kept.gateway_user, kept.gateway_groups, proofs)


def moment(at: int) -> int:
    """Return a time that a worker tells, in ms since the session began, as far as there can be one."""
    return min(max(0, at), MAX_TIME)


def cut(at: int, reason: str, down: int, up: int) -> SessionEnd:
    """Return the end of a session that is gone without a word. ``at``: ms since it began; bytes as last counted."""
    return SessionEnd(at=at, verdict=FAIL, reason=reason, down=down, up=up)
