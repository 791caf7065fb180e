"""Time stamps over seals (RFC 3161), by ``openssl ts``: made here with the node's own authority, or asked for over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from doorward.recording.keys import in_files

SECONDS = 10.0
MAX_REPLY = 1 << 16
"""Bytes of what an authority answers."""
_POLICY = "1.3.6.1.4.1.4146.2.3"
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"
_CONFIGURATION = """
[tsa]
default_tsa = here
[here]
serial = {directory}/serial
default_policy = {policy}
digests = sha256
signer_digest = sha256
ess_cert_id_alg = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
"""


class StampError(Exception):
    """There is no time stamp. The message says why."""


def local_stamp(claim: bytes, certificate: str, private_key: str) -> bytes:
    """Return the token (DER) over some bytes, signed here. Certificate and key in PEM. Raises StampError."""
    with tempfile.TemporaryDirectory(prefix="doorward-stamp-") as made, in_files([private_key.encode()]) as [key]:
        directory = Path(made)
        (directory / "signer.pem").write_text(certificate)
        (directory / "serial").write_text(f"{int.from_bytes(os.urandom(16)):032x}\n")
        (directory / "tsa.conf").write_text(_CONFIGURATION.format(directory=directory, policy=_POLICY))
        query = _query(directory, claim, None)
        _openssl(
            ["-reply", "-config", "tsa.conf", "-section", "here", "-queryfile", query, "-signer", "signer.pem", "-inkey", key,
             "-out", "reply"], directory, key,
        )  # fmt: skip
        return _token(directory)


def remote_stamp(claim: bytes, url: str, policy_oid: str | None) -> bytes:
    """Return the token (DER) over some bytes from an authority. Raises StampError."""
    import httpx2

    with tempfile.TemporaryDirectory(prefix="doorward-stamp-") as made:
        directory = Path(made)
        body = (directory / _query(directory, claim, policy_oid)).read_bytes()
        reply = bytearray()
        try:
            with (
                httpx2.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
                client.stream("POST", url, content=body, headers={"Content-Type": _QUERY}) as answer,
            ):
                if answer.status_code != 200:  # noqa: PLR2004 - OK
                    raise StampError(f"{url} answered {answer.status_code}")
                for piece in answer.iter_bytes():
                    reply += piece
                    if len(reply) > MAX_REPLY:
                        raise StampError(f"{url} answers far too much")
        except httpx2.HTTPError as error:
            raise StampError(f"{url} can't be asked: {type(error).__name__}") from error
        (directory / "reply").write_bytes(reply)
        return _token(directory)


def _query(directory: Path, claim: bytes, policy_oid: str | None) -> str:
    (directory / "claim").write_bytes(claim)
    policy = ["-tspolicy", policy_oid] if policy_oid is not None else []
    _openssl(["-query", "-data", "claim", "-sha256", "-cert", *policy, "-out", "query"], directory)
    return "query"


def _token(directory: Path) -> bytes:
    """Return the token of a reply, once it is for this claim and this question. Raises StampError."""
    said = _openssl(["-reply", "-in", "reply", "-text"], directory)
    asked = _openssl(["-query", "-in", "query", "-text"], directory)
    if not re.search(r"^Status: Granted", said, re.MULTILINE):
        raise StampError("the authority grants no time stamp")
    for name in ("Nonce", "Hash Algorithm"):
        wanted, found = (re.search(rf"^{name}: (.+)$", text, re.MULTILINE) for text in (asked, said))
        if wanted is None or found is None or wanted[1] != found[1]:
            raise StampError("the authority answered another question")
    if _imprint(asked) != _imprint(said) or not _imprint(said):
        raise StampError("the authority answered another question")
    _openssl(["-reply", "-in", "reply", "-token_out", "-out", "token"], directory)
    return (directory / "token").read_bytes()


def _imprint(text: str) -> list[str]:
    """Return the lines of the hash in what openssl prints."""
    found = re.search(r"^Message data:\n((?: {4}.*\n)+)", text, re.MULTILINE)
    return found[1].splitlines() if found else []


def _openssl(arguments: list[str], directory: Path, *keys: str) -> str:
    try:
        done = subprocess.run(
            ["openssl", "ts", *arguments], cwd=directory, capture_output=True, timeout=SECONDS, check=False,
            pass_fds=[int(key.rpartition("/")[2]) for key in keys],
        )  # fmt: skip
    except FileNotFoundError:
        raise StampError("openssl is not installed") from None
    except subprocess.TimeoutExpired:
        raise StampError("openssl did not answer") from None
    if done.returncode:
        raise StampError("openssl could not do it")
    return done.stdout.decode("utf-8", "replace")
