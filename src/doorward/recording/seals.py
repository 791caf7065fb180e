"""Seals of a trail: each names a frame and the chain value after it, signed (RFC 5652, detached) or time-stamped (RFC 3161).

``openssl cms -verify`` and ``openssl ts -verify`` check one with nothing of ours: the canonical JSON of ``claim`` is signed.
"""

from __future__ import annotations

import base64
import binascii
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct

from doorward.recording.keys import OPENSSL_SECONDS, in_files
from doorward.recording.records import encode_json


class Seal(Struct, frozen=True):
    """What vouches for everything up to a frame. ``at``: the time that the signer says it was, RFC 3339.

    ``signature`` and ``stamp`` (a time-stamp token) are DER; empty: there is none.
    """

    frame: int
    chain: str
    at: str
    signature: bytes
    stamp: bytes = b""

    @property
    def claim(self) -> bytes:
        """What is signed."""
        return encode_json({"at": self.at, "chain": self.chain, "frame": self.frame})

    def as_note(self) -> dict[str, Any]:
        """Return the content of the clear frame: of the kind ``stamp`` where nothing is signed."""
        note: dict[str, Any] = {"at": self.at, "chain": self.chain, "frame": self.frame}
        if self.stamp:
            note["stamp"] = base64.b64encode(self.stamp).decode()
        if self.stamp and not self.signature:
            return {**note, "kind": "stamp"}
        return {**note, "kind": "seal", "signature": base64.b64encode(self.signature).decode()}


SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def signed(frame: int, chain: bytes, at: str, certificate: x509.Certificate, key: SigningKey) -> Seal:
    """Sign everything up to a frame; ``chain`` is the value after it."""
    from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

    bare = Seal(frame, chain.hex(), at, b"")
    builder = PKCS7SignatureBuilder().set_data(bare.claim).add_signer(certificate, key, hashes.SHA256())
    options = [PKCS7Options.DetachedSignature, PKCS7Options.Binary, PKCS7Options.NoCerts, PKCS7Options.NoCapabilities]
    return Seal(frame, chain.hex(), at, builder.sign(Encoding.DER, options))


def seals(notes: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[Seal]:
    """Yield the seals among the clear frames of a trail; what is none is passed over."""
    for _, note in notes:
        try:
            if note["kind"] in {"seal", "stamp"}:
                signature = _bytes(note["signature"]) if note["kind"] == "seal" else b""
                stamp = _bytes(note["stamp"]) if "stamp" in note or note["kind"] == "stamp" else b""
                yield Seal(int(note["frame"]), str(note["chain"]), str(note["at"]), signature, stamp)
        except (KeyError, TypeError, ValueError, binascii.Error):
            continue


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def is_signed(seal: Seal, certificate: str) -> bool:
    """Whether a seal was signed with the key of a certificate (PEM). Whether that is to be trusted is for its reader to know."""
    with in_files([seal.claim, certificate.encode(), seal.signature]) as [claim, signer, signature]:
        arguments = ["-verify", "-inform", "DER", "-in", signature, "-content", claim, "-certfile", signer, "-binary"]
        return _is_right(["cms", *arguments, "-nointern", "-noverify", "-out", "/dev/null"], [claim, signer, signature])


def is_stamped(seal: Seal, authorities: str) -> bool:
    """Whether the stamp of a seal is over it, by an authority that leads to one of some certificates (PEM).

    Certificates count that were valid when the seal was made: a trail outlives them.
    """
    try:
        at = int(datetime.fromisoformat(seal.at).timestamp())
    except (ValueError, OverflowError):
        return False
    with in_files([seal.claim, authorities.encode(), seal.stamp]) as [claim, trusted, stamp]:
        arguments = ["-verify", "-data", claim, "-in", stamp, "-token_in", "-CAfile", trusted, "-attime", str(at)]
        return _is_right(["ts", *arguments], [claim, trusted, stamp])


def _is_right(arguments: list[str], files: list[str]) -> bool:
    done = subprocess.run(
        ["openssl", *arguments], capture_output=True, pass_fds=[int(path.rpartition("/")[2]) for path in files],
        timeout=OPENSSL_SECONDS, check=False,
    )  # fmt: skip
    return done.returncode == 0
