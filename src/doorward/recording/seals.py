"""Signatures over a trail: a seal names a frame and the chain value after it, signed (RFC 5652, detached).

``openssl cms -verify`` checks one with nothing of ours: the content that is signed is the canonical JSON of ``claim``.
"""

from __future__ import annotations

import base64
import binascii
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

from doorward.recording.keys import OPENSSL_SECONDS, in_files
from doorward.recording.records import encode_json


@dataclass(frozen=True, slots=True)
class Seal:
    """A signature over everything up to a frame. ``at``: the time that the signer says it was, RFC 3339."""

    frame: int
    chain: str
    at: str
    signature: bytes

    @property
    def claim(self) -> bytes:
        """What is signed."""
        return encode_json({"at": self.at, "chain": self.chain, "frame": self.frame})

    def as_note(self) -> dict[str, Any]:
        """Return the content of the clear frame."""
        signature = base64.b64encode(self.signature).decode()
        return {"at": self.at, "chain": self.chain, "frame": self.frame, "kind": "seal", "signature": signature}


SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def signed(frame: int, chain: bytes, at: str, certificate: x509.Certificate, key: SigningKey) -> Seal:
    """Sign everything up to a frame; ``chain`` is the value after it."""
    bare = Seal(frame, chain.hex(), at, b"")
    builder = PKCS7SignatureBuilder().set_data(bare.claim).add_signer(certificate, key, hashes.SHA256())
    options = [PKCS7Options.DetachedSignature, PKCS7Options.Binary, PKCS7Options.NoCerts, PKCS7Options.NoCapabilities]
    return Seal(frame, chain.hex(), at, builder.sign(Encoding.DER, options))


def seals(notes: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[Seal]:
    """Yield the seals among the clear frames of a trail; what is none is passed over."""
    for _, note in notes:
        try:
            signature = base64.b64decode(note["signature"], validate=True)
            if note["kind"] == "seal":
                yield Seal(int(note["frame"]), str(note["chain"]), str(note["at"]), signature)
        except (KeyError, TypeError, ValueError, binascii.Error):
            continue


def holds(seal: Seal, certificate: str) -> bool:
    """Whether a seal was made with the key of a certificate (PEM). Whether that is to be trusted is for its reader to know."""
    with in_files([seal.claim, certificate.encode(), seal.signature]) as [claim, signer, signature]:
        arguments = ["-verify", "-inform", "DER", "-in", signature, "-content", claim, "-certfile", signer, "-binary"]
        done = subprocess.run(
            ["openssl", "cms", *arguments, "-nointern", "-noverify", "-out", "/dev/null"],
            capture_output=True, pass_fds=[int(path.rpartition("/")[2]) for path in (claim, signer, signature)],
            timeout=OPENSSL_SECONDS, check=False,
        )  # fmt: skip
    return done.returncode == 0
