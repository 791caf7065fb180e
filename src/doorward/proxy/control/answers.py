"""What workers ask for a session, and the answers: login, target, host key, credentials. All of it is control's own to decide."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from doorward.proxy import messages
from doorward.proxy.control import rows, targets
from doorward.proxy.control.backends import Backends
from doorward.proxy.control.credentials import Keyring
from doorward.proxy.control.effects import revoked
from doorward.proxy.control.failures import Failures
from doorward.proxy.control.judging import Judge
from doorward.proxy.control.logins import GatewayLogin
from doorward.proxy.control.notices import Notices
from doorward.proxy.control.ports import Secret
from doorward.proxy.control.session import MisbehaviourError, Person, Phase, Session
from doorward.proxy.control.targets import NoTargetError, NotSaidError, Targets
from doorward.proxy.messages import PipeMessage
from doorward.sessions.catalogue.port import Catalogue, CatalogueUnavailableError
from doorward.transaction.candidate import Running

MAX_LOOKUPS = 8
"""How often one session may ask for its target."""
METHODS = frozenset({"", "none", "password", "publickey", "keyboard-interactive"})
"""How a client can have come in, by the names of SSH (RFC 4252, section 5); "": that was not said."""
_NO_ROW = "The session can't be recorded."
_OVER = "The session is over."

log = structlog.get_logger()

Try = messages.TryNone | messages.TryPassword | messages.TryPrompts | messages.TryKey
Question = (
    Try | messages.FindTarget | messages.JudgeHostKey | messages.WantCredential | messages.WantSignature | messages.WantApproval
)

_LOGIN = frozenset({Phase.LOGIN})
_RELAYED = frozenset({Phase.LOGIN, Phase.TARGETED})
"""Where nobody logs in at the gateway, a client may show something else after the target refused."""
_TARGET = frozenset({Phase.TARGETED})


@dataclass(frozen=True)
class Answers:
    """Answers questions of workers. ``node``: the id of this node."""

    catalogue: Catalogue
    running: Callable[[], Running]
    backends: Backends
    failures: Failures
    targets: Targets
    judge: Judge
    notices: Notices
    secret: Secret
    threads: Executor
    node: str
    _logins: dict[str, GatewayLogin] = field(default_factory=dict, repr=False)
    """By the keys of sessions, until they are connected, or over; so are the keyrings."""
    _keyrings: dict[str, Keyring] = field(default_factory=dict, repr=False)

    def check(self, session: Session, question: Question) -> None:
        """Raise MisbehaviourError for a question that comes out of order."""
        if session.is_busy and not isinstance(question, messages.WantApproval):
            raise MisbehaviourError("asked for something before the last answer")
        # How far a session was that an earlier control began is not known: it is refused everything, whatever it asks.
        if not session.is_adopted and session.phase not in self._phases(session, question):
            raise MisbehaviourError(f"asked {type(question).__name__} while the session was {session.phase.name.lower()}")

    @staticmethod
    def _phases(session: Session, question: Question) -> frozenset[Phase]:
        has_login = session.connection.has_login
        match question:
            case messages.TryNone() | messages.TryPassword() | messages.TryPrompts() | messages.TryKey():
                return _LOGIN if has_login else _RELAYED
            case messages.FindTarget():
                return frozenset({Phase.ADMITTED, Phase.TARGETED}) if has_login else _RELAYED
            case messages.JudgeHostKey() | messages.WantCredential() | messages.WantSignature():
                return _TARGET
            case messages.WantApproval():
                return frozenset({Phase.CONNECTED})

    async def answer(self, session: Session, question: Question) -> PipeMessage:  # noqa: PLR0911 - one for each question
        """Return the answer to a question. Raises MisbehaviourError."""
        if session.is_adopted or session.ending:
            return refusal(question, session.ending or "The gateway was restarted.")
        if self._is_over(session):
            return refusal(question, _OVER)
        match question:
            case messages.TryNone() | messages.TryPassword() | messages.TryPrompts() | messages.TryKey():
                return await self._try(session, question)
            case messages.FindTarget():
                return await self._find_target(session, question)
            case messages.JudgeHostKey():
                if session.target is None:
                    raise MisbehaviourError("judged a host key before there was a target")
                reason = await self.judge.judge(session, session.target, question)
                return messages.Trusted(session=session.key, ask=question.ask, trusted=not reason, reason=reason)
            case messages.WantCredential():
                found = await self._keyring(session).credential(question.way)
                return messages.CredentialAnswer(
                    session=session.key, ask=question.ask, password=found.password, public_keys=found.public_keys
                )
            case messages.WantSignature():
                signature = await self._keyring(session).sign(question.public_key, question.algorithm, question.data)
                return messages.Signature(session=session.key, ask=question.ask, signature=signature)
            case messages.WantApproval():
                return refusal(question, "Nobody can approve it: approvals come with a later release.")

    # Who is it?

    async def _try(self, session: Session, question: Try) -> PipeMessage:
        login = self._logins.get(session.key)
        if login is None:
            backend = self.backends.of(session.connection, session.client[0])
            login = self._logins[session.key] = GatewayLogin(session, backend, self.failures, self._told(session))
            session.forget = partial(self._forget, session.key)
        decision: PipeMessage
        match question:
            case messages.TryPassword():
                decision = await login.try_password(question)
            case messages.TryPrompts():
                decision = await login.try_prompts(question)
            case messages.TryKey():
                decision = await login.try_key(question)
            case messages.TryNone():
                decision = await login.try_none(question)
        if isinstance(question, messages.TryKey) and question.signature is None:
            return decision
        if isinstance(decision, messages.Decision) and decision.outcome == "accepted" and session.connection.has_login:
            return await self._admit(session, login, decision)
        return decision

    def _told(self, session: Session) -> Callable[..., None]:
        def tell(key: str, text: str, **facts: Any) -> None:
            self.notices.tell(key, text, session, **facts)

        return tell

    async def _admit(self, session: Session, login: GatewayLogin, decision: messages.Decision) -> messages.Decision:
        """Let somebody in whose login is proven: once the row is durable, and nothing was revoked meanwhile."""
        session.person = login.person or Person()
        session.method = "+".join(login.done)
        running = self.running()
        reason = revoked(session, running.snapshot) or await self._begin_row(session)
        if reason or self._is_over(session):
            return messages.Decision(session=session.key, ask=decision.ask, outcome="end", message=reason)
        session.phase = Phase.ADMITTED
        self.notices.tell("gw_auth_success", f"{session.person.name} logged in at the gateway", session, method=session.method)
        return decision

    async def _begin_row(self, session: Session) -> str:
        """Have the row of a session on the disk; return why that can't be."""
        async with session.keeping:
            if session.is_kept:
                return ""
            try:
                await self.catalogue.begin(rows.row(session, self.node))
            except CatalogueUnavailableError as error:
                log.error("a session is refused: its row can't be kept", session=session.id, reason=str(error))
                self.notices.tell("recording_failed", "A session was refused: it can't be catalogued", session, reason=str(error))
                return _NO_ROW
            session.is_kept = True
            return ""

    @staticmethod
    def _is_over(session: Session) -> bool:
        """Whether a session ended while its question was being worked out."""
        return session.phase == Phase.ENDED

    # Where to?

    async def _find_target(self, session: Session, question: messages.FindTarget) -> messages.TargetAnswer:
        session.lookups += 1
        if session.lookups > MAX_LOOKUPS:
            raise MisbehaviourError("asked for its target far too often")
        if session.connection.has_login and question.user != session.user:
            raise MisbehaviourError("asked for the target of another user than the one that logged in")
        if question.method not in METHODS:
            raise MisbehaviourError("told of a way to log in that there is not")
        session.user = question.user
        session.method = session.method or question.method
        try:
            located = await self.targets.locate(session, question.text)
        except NotSaidError:
            return messages.TargetAnswer(session=session.key, ask=question.ask, question=targets.QUESTION)
        except NoTargetError as why:
            self.notices.tell(why.event, f"A session got no target: {why}", session, user=session.user[:256])
            return messages.TargetAnswer(session=session.key, ask=question.ask, error=str(why))
        session.target = located
        reason = await self._keep_target(session)
        if reason or self._is_over(session):
            return messages.TargetAnswer(session=session.key, ask=question.ask, error=reason or _OVER)
        self._keyrings[session.key] = Keyring(session, located, self.secret, self.threads)
        session.forget = partial(self._forget, session.key)
        session.phase = Phase.TARGETED
        keys = session.connection.policy.connection.server_side_hostkeys
        return messages.TargetAnswer(
            session=session.key,
            ask=question.ask,
            name=located.name,
            addresses=located.addresses,
            port=located.port,
            source=targets.source(session.connection),
            user=located.user,
            groups=located.groups,
            keys=located.keys,
            authorities=tuple(keys.authorities),
            check=keys.plain_hostkey.check != "disabled",
            offers=located.offers,
        )

    def _keyring(self, session: Session) -> Keyring:
        """Return the keyring of a session that is not connected yet. Raises MisbehaviourError."""
        keyring = self._keyrings.get(session.key)
        if keyring is None:
            raise MisbehaviourError("asked for a secret after it was connected")
        return keyring

    def _forget(self, key: str) -> None:
        """Let go of what a session had for its logins, private keys above all."""
        self._logins.pop(key, None)
        self._keyrings.pop(key, None)

    async def _keep_target(self, session: Session) -> str:
        """Have the target in the row, on the disk, before anything goes there; return why that can't be."""
        if not session.is_kept:
            return await self._begin_row(session)
        try:
            await self.catalogue.update(session.key, rows.facts_of_target(session))
            await self.catalogue.synced()
        except CatalogueUnavailableError as error:
            log.error("a session is refused: its target can't be kept", session=session.id, reason=str(error))
            return _NO_ROW
        return ""


def refusal(question: Question, reason: str) -> PipeMessage:
    """Return the answer that grants nothing."""
    session, ask = question.session, question.ask
    match question:
        case messages.TryNone() | messages.TryPassword() | messages.TryPrompts() | messages.TryKey():
            return messages.Decision(session=session, ask=ask, outcome="end", message=reason)
        case messages.FindTarget():
            return messages.TargetAnswer(session=session, ask=ask, error=reason)
        case messages.JudgeHostKey():
            return messages.Trusted(session=session, ask=ask, trusted=False, reason=reason)
        case messages.WantCredential():
            return messages.CredentialAnswer(session=session, ask=ask)
        case messages.WantSignature():
            return messages.Signature(session=session, ask=ask)
        case messages.WantApproval():
            return messages.Approval(session=session, ask=ask, approved=False, reason=reason)
