"""Seals for trails: the head of the chain, signed by the identity of the audit policy, with a time stamp where it wants one."""

from __future__ import annotations

from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct
from msgspec.structs import replace

from doorward.proxy import messages
from doorward.proxy.control.backends import run
from doorward.proxy.control.connections import Identity, Sealing
from doorward.proxy.control.ports import Secret
from doorward.proxy.control.stamping import StampError, local_stamp, remote_stamp
from doorward.recording.seals import Seal, SigningKey, signed

CHAIN_SIZE = 32
"""Bytes of a value of the chain: SHA-256."""

log = structlog.get_logger()


class TrailSealer(Struct, frozen=True):
    """Signs what workers bring. ``secret`` returns private keys by the keys of their certificates."""

    secret: Secret
    threads: Executor

    async def sealed(self, sealing: Sealing, message: messages.WantSeal) -> dict[str, Any] | None:
        """Return the note for the trail; None: there is nothing to seal with."""
        if len(message.chain) != CHAIN_SIZE or (sealing.signer is None and not sealing.timestamped):
            return None
        try:
            return await run(self.threads, self._note, sealing, message)
        except (StampError, ValueError, TypeError) as error:
            log.error("a trail can't be sealed", session=message.session, reason=str(error))
            return None

    def _note(self, sealing: Sealing, message: messages.WantSeal) -> dict[str, Any]:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if sealing.signer is not None:
            certificate, key = self._identity(sealing.signer)
            seal = signed(message.frame, message.chain, at, certificate, key)
        else:
            seal = Seal(message.frame, message.chain.hex(), at, b"")
        return (replace(seal, stamp=self._stamp(sealing, seal)) if sealing.timestamped else seal).as_note()

    def _identity(self, identity: Identity) -> tuple[x509.Certificate, SigningKey]:
        text = self.secret(identity.key)
        if text is None:
            raise ValueError("the private key to sign with is not here")
        key: Any = load_pem_private_key(text.encode(), None)
        return x509.load_pem_x509_certificate(identity.certificate.encode()), key

    def _stamp(self, sealing: Sealing, seal: Seal) -> bytes:
        if sealing.url is not None:
            return remote_stamp(seal.claim, sealing.url, sealing.policy_oid)
        if sealing.authority is None:
            raise StampError("the node has no authority for time stamps")
        text = self.secret(sealing.authority.key)
        if text is None:
            raise StampError("the private key of the authority for time stamps is not here")
        return local_stamp(seal.claim, sealing.authority.certificate, text)
