"""Global requests (RFC 4254, section 4): keepalives and remote forwards pass, by rule; the rest is refused."""

from __future__ import annotations

from collections.abc import Callable

from doorward.proxy.ssh.policy import SessionPolicy, Verdict
from doorward.proxy.ssh.ports import Control
from doorward.proxy.ssh.replies import Replies
from doorward.proxy.ssh.wire.fields import Fields, boolean, string
from doorward.proxy.ssh.wire.numbers import Message

KEEPALIVE = "keepalive@openssh.com"
_FAILURE = bytes([Message.REQUEST_FAILURE])
_CANCELS = frozenset({"cancel-tcpip-forward", "cancel-streamlocal-forward@openssh.com"})
_FORWARD = "tcpip-forward"
_FORWARDS = frozenset({_FORWARD, "streamlocal-forward@openssh.com"})
_HARMLESS = frozenset({KEEPALIVE, "no-more-sessions@openssh.com"})
_KEEPALIVE = bytes([Message.GLOBAL_REQUEST]) + string(KEEPALIVE) + boolean(True)  # noqa: FBT003 - wants an answer


class Globals:
    """Global requests of both sides, and keepalives of our own."""

    def __init__(
        self, to_client: Callable[[bytes], None], to_server: Callable[[bytes], None], policy: SessionPolicy, control: Control
    ) -> None:
        self._to_client = to_client
        self._to_server = to_server
        self._policy = policy
        self._control = control
        self._for_client = Replies(to_client)
        self._for_server = Replies(to_server)

    def keepalive(self, *, down: bool) -> None:
        """Ask the client (``down``) or the server whether it is there."""
        if down:
            self._for_server.expect_own()
            self._to_client(_KEEPALIVE)
        else:
            self._for_client.expect_own()
            self._to_server(_KEEPALIVE)

    def take(self, payload: bytes, *, down: bool, is_locked: bool) -> None:
        """Take a global request, or an answer to one."""
        if payload[0] != Message.GLOBAL_REQUEST:
            (self._for_client if down else self._for_server).take(payload)
            return
        fields = Fields(payload)
        name, wants_reply = fields.text(), fields.boolean()
        if down:
            self._from_server(name, payload, wants_reply=wants_reply)
        else:
            self._from_client(name, payload, fields, wants_reply=wants_reply, is_locked=is_locked)

    def _from_server(self, name: str, payload: bytes, *, wants_reply: bool) -> None:
        if name == KEEPALIVE:
            if wants_reply:
                self._for_server.expect()
            self._to_client(payload)
        elif wants_reply:
            # Among them what a server says of its host keys: the client knows ours.
            self._for_server.answer(_FAILURE)

    def _from_client(self, name: str, payload: bytes, fields: Fields, *, wants_reply: bool, is_locked: bool) -> None:
        is_harmless = name in _HARMLESS
        if is_harmless or (name in _CANCELS and not is_locked):
            if wants_reply:
                self._for_client.expect()
            self._to_server(payload)
        elif name in _FORWARDS and not is_locked and wants_reply:
            self._forward(name, payload, fields)
        elif wants_reply:
            # A forward that wants no answer too: nobody would know whether and where the server listens.
            self._for_client.answer(_FAILURE)

    def _forward(self, name: str, payload: bytes, fields: Fields) -> None:
        """Judge a remote forward; once the server listens, connections may come from there."""
        policy = self._policy
        host, port = (fields.text(), fields.uint32()) if name == _FORWARD else ("", 0)
        path = "" if name == _FORWARD else fields.text()
        verdict = policy.listening(host, port) if name == _FORWARD else policy.listening_path(path)
        if verdict.rule is None:
            self._denied(verdict)
            self._for_client.answer(_FAILURE)
            return

        def answered(answer: bytes) -> None:
            if answer[0] == Message.REQUEST_SUCCESS:
                # With port 0 the server chooses, and says which.
                chosen = Fields(answer).uint32() if name == _FORWARD and not port else port
                policy.granted(path or chosen)

        self._for_client.expect(answered)
        self._to_server(payload)

    def _denied(self, verdict: Verdict) -> None:
        self._policy.count_denied()
        self._control.happened("channel_denied", {"type": verdict.type, **verdict.facts})
