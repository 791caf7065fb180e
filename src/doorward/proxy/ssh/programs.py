"""Requests on channels (RFC 4254, section 6): a session channel is judged by the request that starts its program."""

from __future__ import annotations

import asyncio

from doorward.proxy.ssh import requests
from doorward.proxy.ssh.crossing import Crossing
from doorward.proxy.ssh.policy import SessionPolicy, Verdict
from doorward.proxy.ssh.ports import Control, ControlGoneError, Observer
from doorward.proxy.ssh.table import Channel
from doorward.proxy.ssh.wire.fields import Fields, uint32
from doorward.proxy.ssh.wire.numbers import Message


class Programs:
    """What runs on session channels."""

    def __init__(self, relay: Crossing, policy: SessionPolicy, control: Control, observer: Observer) -> None:
        self._relay = relay
        self._policy = policy
        self._control = control
        self._observer = observer
        self._waiting: set[asyncio.Task[None]] = set()

    def take(self, channel: Channel, payload: bytes, *, down: bool) -> None:
        """Take a CHANNEL_REQUEST."""
        fields = Fields(payload)
        fields.uint32()
        name, wants_reply = fields.text(), fields.boolean()
        if down:
            self._from_server(channel, payload, name, fields, wants_reply=wants_reply)
        elif name in requests.STARTS and channel.is_session:
            self._start(channel, payload, name, fields, wants_reply=wants_reply)
        elif self._is_allowed(channel, name, fields):
            if channel.is_ruled and name not in requests.SILENT:
                self._observer.requested(channel.number, down, name, requests.read_request(name, fields))
            self._pass(channel, payload, wants_reply=wants_reply)
        else:
            self._refuse(channel, wants_reply=wants_reply)

    def _from_server(self, channel: Channel, payload: bytes, name: str, fields: Fields, *, wants_reply: bool) -> None:
        if name not in requests.FROM_SERVER or not channel.is_ruled:
            if wants_reply:
                channel.to_server.answer(bytes([Message.CHANNEL_FAILURE]) + uint32(channel.server))
            return
        if name not in requests.SILENT:
            down = True
            self._observer.requested(channel.number, down, name, requests.read_request(name, fields))
        if wants_reply:
            channel.to_server.expect()
        self._relay.client.send(payload)

    def _is_allowed(self, channel: Channel, name: str, fields: Fields) -> bool:
        """Whether a request that starts nothing goes on. What a program is to be started with is noted."""
        if not channel.is_session or name not in requests.FROM_CLIENT:
            return name in requests.SILENT
        if name == "env":
            variable, value = fields.text(), fields.text()
            environment = channel.facts.setdefault("environment", {})
            if not requests.is_passed_on(variable, value) or len(environment) >= requests.MAX_VARIABLES:
                return False
            environment[variable] = value
            return True
        if name == "pty-req":
            channel.facts["terminal"] = requests.read_terminal(fields)
            return True
        if name in requests.AGENT or name == "x11-req":
            return self._judged(self._policy.x11() if name == "x11-req" else self._policy.agent())
        return True

    def _judged(self, verdict: Verdict) -> bool:
        if verdict.rule is None:
            self._policy.count_denied()
            self._control.happened("channel_denied", {"type": verdict.type})
        return verdict.rule is not None

    def _start(self, channel: Channel, payload: bytes, name: str, fields: Fields, *, wants_reply: bool) -> None:
        if channel.is_ruled:
            # One program a channel (RFC 4254, section 6.5).
            self._refuse(channel, wants_reply=wants_reply)
            return
        verdict = self._policy.program(name, fields)
        if verdict.rule is None:
            self._deny(channel, verdict, self._relay.table.next_number(), wants_reply=wants_reply)
        elif verdict.rule.four_eyes:
            channel.parked = []
            task = asyncio.ensure_future(self._approve(channel, payload, verdict, wants_reply=wants_reply))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        else:
            self._run(channel, payload, verdict, self._relay.table.next_number(), wants_reply=wants_reply)

    async def _approve(self, channel: Channel, payload: bytes, verdict: Verdict, *, wants_reply: bool) -> None:
        number = self._relay.table.next_number()
        detail = str(verdict.facts.get("command") or verdict.facts.get("subsystem") or "")
        try:
            answer = await self._control.want_approval(number, verdict.type, detail)
            approved = answer.approved
        except ControlGoneError:
            approved = False
        if self._relay.client.error is not None or self._relay.server.error is not None:
            return
        parked, channel.parked = channel.parked or [], None
        with self._relay.guard(self._relay.client):
            if approved:
                self._run(channel, payload, verdict, number, wants_reply=wants_reply)
            else:
                self._deny(channel, verdict, number, wants_reply=wants_reply)
        self._relay.unpark(parked)

    def _run(self, channel: Channel, payload: bytes, verdict: Verdict, number: int, *, wants_reply: bool) -> None:
        channel.number = number
        channel.rule = verdict.rule
        self._observer.opened(number, channel.kind, "accept", verdict.rule, {**verdict.facts, **channel.facts})
        channel.facts.pop("environment", None)
        self._pass(channel, payload, wants_reply=wants_reply)

    def _deny(self, channel: Channel, verdict: Verdict, number: int, *, wants_reply: bool) -> None:
        self._policy.count_denied()
        self._observer.opened(number, channel.kind, "deny", None, {**verdict.facts, **channel.facts})
        self._control.happened("channel_denied", {"type": verdict.type, **verdict.facts})
        self._refuse(channel, wants_reply=wants_reply)

    def _pass(self, channel: Channel, payload: bytes, *, wants_reply: bool) -> None:
        # The observer may just have ended the session: nothing begins any longer.
        if self._relay.is_stopped:
            return
        if wants_reply:
            channel.to_client.expect()
        self._relay.server.send(payload)

    @staticmethod
    def _refuse(channel: Channel, *, wants_reply: bool) -> None:
        if wants_reply:
            channel.to_client.answer(bytes([Message.CHANNEL_FAILURE]) + uint32(channel.client))

    def end(self) -> None:
        """Wait for nobody any longer."""
        for task in self._waiting:
            task.cancel()
