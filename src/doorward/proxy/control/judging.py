"""Whether the host key that a target shows is the right one. A changed one never is."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from doorward.proxy.control import proofs
from doorward.proxy.control.notices import Notices
from doorward.proxy.control.session import Located, MisbehaviourError, Session
from doorward.proxy.messages import JudgeHostKey
from doorward.sessions.host_keys import HostKey, OtherKeyError, TooManyKeysError, TrustedHostKeys, fingerprint

MAX_LINE = 24_576
"""Characters of a public key."""


class Judge(Struct, frozen=True):
    """Knows the trusted keys, and learns new ones where the policy says so."""

    host_keys: TrustedHostKeys
    notices: Notices

    async def judge(self, session: Session, target: Located, message: JudgeHostKey) -> str:
        """Return why a key is not trusted, in words for the client; "": it is. Raises MisbehaviourError."""
        if message.address not in target.addresses or message.port != target.port:
            raise MisbehaviourError("asked about the key of a server that is not the target")
        line = " ".join(message.key.split()[:2])
        blob = proofs.blob_of(line) if len(line) <= MAX_LINE else None
        if blob is None or not proofs.is_strong(proofs.read(line.split()[0], blob).key):
            return "its host key can't be used"
        known = self.host_keys.of(target.name, message.address, message.port)
        if any(key.public_key == line for key in known):
            return ""
        if not known and session.connection.policy.connection.server_side_hostkeys.plain_hostkey.check == "accept_first":
            return await self._learn(session, message, line)
        return self._refused(session, target, line, known)

    async def _learn(self, session: Session, message: JudgeHostKey, line: str) -> str:
        try:
            key = await asyncio.to_thread(self.host_keys.add, message.address, message.port, line, session.id)
        except OtherKeyError as other:
            return self._refused(session, session.target, line, [other.known])
        except TooManyKeysError:
            return "its host key is not known, and no more can be learned"
        text = f"The host key {key.fingerprint} of {key.host}:{key.port} was learned"
        self.notices.tell("host_key_learned", text, session, host_key=key.id, fingerprint=key.fingerprint)
        return ""

    def _refused(self, session: Session, target: Located | None, line: str, known: list[HostKey]) -> str:
        shown, expected = fingerprint(line), [key.fingerprint for key in known]
        where = f"{target.name}:{target.port}" if target is not None else "The server"
        if expected:
            text = f"{where} shows the host key {shown}, but {' or '.join(expected)} is trusted"
            reason = f"it shows the host key {shown}, not the one that is trusted"
        else:
            text = f"{where} shows the host key {shown}; none is trusted"
            reason = f"its host key {shown} is not known"
        self.notices.tell("ssh_host_key_mismatch", text, session, shown=shown, expected=expected)
        return reason
