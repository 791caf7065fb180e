"""The gate: who is there? Control decides; what the client shows is only handed on. The target is reached inside its success."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from doorward.proxy import messages
from doorward.proxy.ssh.dialogue import MAX_SECRET, PROMPTS, LoginDialogue, RefusedError, login_request
from doorward.proxy.ssh.legs.client_leg import ClientLeg
from doorward.proxy.ssh.legs.negotiation import Agreement
from doorward.proxy.ssh.legs.server_leg import SERVICE, LoginAttempt
from doorward.proxy.ssh.ports import Control
from doorward.proxy.ssh.wire.errors import LegError, ProtocolViolationError
from doorward.proxy.ssh.wire.fields import Fields
from doorward.proxy.ssh.wire.numbers import Disconnect
from doorward.sessions.rules import ConnectionRules, Relayed

MAX_USER = 1024
MAX_OFFERS = 30
"""Keys that a client may show; they are no tries."""
MAX_REQUESTS = 100
"""Requests of one login, also those that are no tries: what we do for them does not count as the client's time."""
MAX_QUESTIONS = 3
"""How often a client is asked for a server."""
PASSWORD = "password"  # noqa: S105 - the name of a method
KEY = "publickey"
_BY_PASSWORD = {Relayed.SAME_PASSWORD}
_BY_PROMPTS = {Relayed.KEYBOARD_INTERACTIVE, Relayed.PASSWORD_PROMPT}
_NAMES = {"public_key": KEY, "certificate": KEY, "keyboard_interactive": PROMPTS}


class ServiceError(LegError):
    """The client asked for something that is not there."""

    code = Disconnect.SERVICE_NOT_AVAILABLE


class Gate:
    """The login of one client. ``reach`` connects and logs in at the target; it is called once the client is known."""

    def __init__(
        self,
        leg: ClientLeg,
        rules: ConnectionRules,
        control: Control,
        reach: Callable[[messages.TargetAnswer], Awaitable[LoginAttempt]],
    ) -> None:
        self.leg = leg
        self.dialogue = LoginDialogue(leg, rules.settings)
        self._rules = rules
        self._control = control
        self._reach = reach
        self._methods = self._allowed()
        self._is_offer = False
        """Whether it only shows a key, to ask whether it would do."""
        self._offers = 0
        self._requests = 0
        self._target: messages.TargetAnswer | None = None
        self.gateway_user = ""
        self.groups: tuple[str, ...] = ()
        self.method = ""
        self.password: str | None = None
        """What the client typed last."""

    def _allowed(self) -> tuple[str, ...]:
        """The methods that a client may use. Where nobody logs in at the gateway: those that are good for the target."""
        methods, relayed = self._rules.methods, set(self._rules.relayed)
        only_relayed = not self._rules.gateway_login
        return tuple(
            name
            for name, is_on, ways in (
                (KEY, methods.public_key or methods.certificate, set(Relayed) - _BY_PASSWORD - _BY_PROMPTS),
                (PROMPTS, methods.keyboard_interactive, _BY_PROMPTS),
                (PASSWORD, methods.password, _BY_PASSWORD),
            )
            if is_on and (not only_relayed or ways & relayed)
        )

    # --- the login ---

    async def run(self) -> None:
        """Let the client in, or raise why not (`LegError`, ControlGoneError, TargetError)."""
        await self.dialogue.begin(self._identified)
        while not self.dialogue.is_admitted:
            request = await self.dialogue.receive()
            self._requests += 1
            if self._requests > MAX_REQUESTS:
                raise RefusedError("Too many requests to log in")
            try:
                await self._answer(request)
            except UnicodeEncodeError:
                # What is kept as surrogates was no UTF-8, and control takes nothing else.
                raise ProtocolViolationError("A name or an answer is not in UTF-8") from None

    def _identified(self, agreement: Agreement) -> None:
        algorithms = {
            "kex": agreement.kex,
            "host_key": agreement.host_key,
            "cipher_up": agreement.cipher[0],
            "cipher_down": agreement.cipher[1],
            "mac_up": agreement.mac[0],
            "mac_down": agreement.mac[1],
        }
        self._control.identified(self.leg.keys.session_id, self.leg.version_text, algorithms)

    async def _answer(self, request: bytes) -> None:
        user, service, method, fields = login_request(request)
        if service != SERVICE:
            raise ServiceError("There is no such service")
        if len(user) > MAX_USER:
            raise ProtocolViolationError("The user name is too long")
        self.dialogue.keep_user(user)
        self.dialogue.is_prompting = method == PROMPTS
        self._is_offer = False
        match method:
            case "none":
                decision = await self.dialogue.work(self._control.try_none(user))
            case "password" if PASSWORD in self._allowed():
                decision = await self._try_password(fields)
            case "publickey" if KEY in self._allowed():
                found = await self._try_key(fields)
                if found is None:
                    return
                decision = found
            case "keyboard-interactive" if PROMPTS in self._allowed():
                decision = await self._try_prompts()
            case _:
                decision = self._refusal()
        await self._follow(decision, method)

    def _refusal(self) -> messages.Decision:
        return messages.Decision(session="", ask=0, outcome="refused", methods=self._methods)

    def _shown(self) -> messages.Decision:
        """Nobody logs in at the gateway: what the client showed is good for the target, or it is not."""
        return messages.Decision(session="", ask=0, outcome="accepted", user=self.dialogue.user)

    async def _try_password(self, fields: Fields) -> messages.Decision:
        is_change = fields.boolean()
        password = fields.text()
        if is_change or len(password) > MAX_SECRET:
            return self._refusal()
        self.password = password
        if not self._rules.gateway_login:
            return self._shown()
        decision = await self.dialogue.work(self._control.try_password(self.dialogue.user, password))
        if decision.outcome == "refused":
            # It may be for something else, and is not tried at the target.
            self.password = None
        return decision

    async def _try_key(self, fields: Fields) -> messages.Decision | None:
        """Try a key. None: the client may sign now."""
        has_signature = fields.boolean()
        algorithm, key = fields.text(), fields.string()
        signature = fields.string() if has_signature else None
        fields.end()
        self._is_offer = signature is None
        self._offers += self._is_offer
        if self._offers > MAX_OFFERS:
            raise RefusedError("Too many keys were offered")
        decision = await self.dialogue.work(self._control.try_key(self.dialogue.user, algorithm, key, signature))
        if decision.outcome == "accepted" and signature is None:
            self.leg.accept_key(algorithm, key)
            return None
        return decision

    async def _try_prompts(self) -> messages.Decision:
        if not self._rules.gateway_login:
            return self._shown()
        reply = await self.dialogue.work(self._control.try_prompts(self.dialogue.user, None))
        while isinstance(reply, messages.Prompts):
            answers = await self.dialogue.ask(reply.name, reply.instruction, reply.prompts)
            if answers is None:
                return self._refusal()
            reply = await self.dialogue.work(self._control.try_prompts(self.dialogue.user, answers))
        return reply

    async def _follow(self, decision: messages.Decision, method: str) -> None:
        if decision.pause:
            await self.dialogue.work(asyncio.sleep(decision.pause))
        if decision.methods:
            self._methods = tuple(dict.fromkeys(_NAMES.get(name, name) for name in decision.methods))
        match decision.outcome:
            case "accepted":
                self.gateway_user, self.groups, self.method = decision.user, decision.groups, method
                await self._enter()
            case "partial":
                self.leg.fail(self._methods, partial=True)
            case "refused":
                self._refuse(method)
            case _:
                raise RefusedError(decision.message or "Permission denied")

    def _refuse(self, method: str) -> None:
        if method != "none" and not self._is_offer:
            self.dialogue.count_try()
        self.leg.fail(self._methods)

    async def _enter(self) -> None:
        """Go on to the target, and let the client in if that works."""
        if self._target is None:
            self._target = await self._find_target()
        # The target may want to ask the client: its time runs then (`LoginDialogue.ask`).
        attempt = await self.dialogue.work(self._reach(self._target))
        if attempt.is_done:
            self.dialogue.admit()
            self.password = None
        elif self.dialogue.is_admitted or self._rules.gateway_login:
            raise RefusedError(f"{self._target.name} refused the login of {self._target.user}")
        else:
            self._refuse(self.method)

    async def _find_target(self) -> messages.TargetAnswer:
        text = ""
        for _ in range(MAX_QUESTIONS + 1):
            target = await self.dialogue.work(self._control.find_target(self.dialogue.user, self.method, text))
            if target.error:
                raise RefusedError(target.error)
            if not target.question:
                return target
            if not self.dialogue.is_prompting:
                self.dialogue.say("To go without this question, write the server into the user name: user@server.")
            answers = await self.dialogue.ask("", "", ((target.question, True),))
            text = answers[0] if answers else ""
        raise RefusedError("No server was named")

    # --- what the target needs of the client ---

    def suits(self, way: Relayed) -> bool:
        """Whether a way to log in at the target goes with what the client showed, where nobody logs in at the gateway."""
        if self._rules.gateway_login:
            return True
        match self.method:
            case "password":
                return way in _BY_PASSWORD
            case "keyboard-interactive":
                return way in _BY_PROMPTS
            case _:
                return way not in _BY_PASSWORD | _BY_PROMPTS
