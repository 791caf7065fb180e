"""OpenPGP keys made by the real gpg, each once for all tests of a process, and a holder of private keys who decrypts."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path


@functools.cache
def home() -> Path:
    """The key ring of the person who keeps the private keys; its agent ends with the tests."""
    directory = Path(tempfile.mkdtemp(prefix="doorward-keys-"))

    def end() -> None:
        subprocess.run(["gpgconf", "--homedir", str(directory), "--kill", "all"], check=False)
        shutil.rmtree(directory, ignore_errors=True)

    atexit.register(end)
    return directory


def gpg(*arguments: str, data: bytes = b"") -> bytes:
    """Run gpg with that key ring."""
    fixed = ["gpg", "--homedir", str(home()), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    done = subprocess.run([*fixed, *arguments], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def fingerprints(name: str) -> list[str]:
    """Fingerprints of a key: of the primary key, then of its subkeys."""
    lines = gpg("--with-colons", "--list-keys", "--with-subkey-fingerprint", f"{name}@example.com").decode().splitlines()
    return [line.split(":")[9] for line in lines if line.startswith("fpr:")]


def _made(name: str, *how: str, at: str = "") -> str:
    when = ("--faked-system-time", f"{at}!") if at else ()
    gpg(*when, "--quick-gen-key", f"{name.title()} <{name}@example.com>", *how)
    return fingerprints(name)[0]


def exported(name: str) -> str:
    """The armoured public key."""
    return gpg("--armor", "--export", f"{name}@example.com").decode()


@functools.cache
def public_key(name: str) -> str:
    """Return an armoured certificate.

    good, other: Ed25519 with Curve25519; rotated: with two such subkeys; signer: signs only; expired, soon: by their date;
    worn: all that encrypts has expired, and it goes on signing; weak: encrypts with RSA of 1024 bits; revoked: is that.
    future, half-future: made in 2099, or the part that encrypts; nameless: without a user id.
    """
    match name:
        case "future" | "half-future" | "nameless":
            return _odd_key(name)
        case "signer":
            _made(name, "ed25519", "sign", "0")
        case "expired":
            _made(name, "future-default", "default", "20d", at="20200101T000000")
        case "soon":
            _made(name, "future-default", "default", "20d")
        case "worn":
            fingerprint = _made(name, "ed25519", "sign", "0", at="20200101T000000")
            gpg("--faked-system-time", "20200101T000000!", "--quick-add-key", fingerprint, "cv25519", "encr", "20d")
        case "weak":
            gpg("--quick-add-key", _made(name, "ed25519", "sign", "0"), "rsa1024", "encr", "0")
        case "rotated":
            fingerprint = _made(name, "future-default", "default", "0", at="20250101T000000")
            gpg("--quick-add-key", fingerprint, "cv25519", "encr", "0")
        case "revoked":
            fingerprint = _made(name, "future-default", "default", "0")
            written = (home() / "openpgp-revocs.d" / f"{fingerprint}.rev").read_bytes()
            gpg("--import", data=written.replace(b":-----BEGIN", b"-----BEGIN"))
        case _:
            _made(name, "future-default", "default", "0")
    return exported(name)


def _odd_key(name: str) -> str:
    """Return a certificate that gpg itself does not take, or not yet."""
    if name == "half-future":
        fingerprint = _made(name, "ed25519", "sign", "0")
        gpg("--faked-system-time", "20990101T000000!", "--quick-add-key", fingerprint, "cv25519", "encr", "0")
        return exported(name)
    _made(name, "future-default", "default", "0", at="20990101T000000" if name == "future" else "")
    if name == "future":
        return gpg("--faked-system-time", "20990102T000000!", "--armor", "--export", f"{name}@example.com").decode()
    return _without_user_ids(gpg("--export", f"{name}@example.com"))


def _without_user_ids(key: bytes) -> str:
    """Return a certificate without its user ids and their signatures: the primary key, the subkey and its binding."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["gpgsplit"], input=key, cwd=directory, check=True)
        packets = sorted(Path(directory).iterdir())
        kept = [packet.read_bytes() for packet in packets if not packet.name.endswith(("user_id", "000003-002.sig"))]
    return gpg("--enarmor", data=b"".join(kept)).decode().replace("ARMORED FILE", "PUBLIC KEY BLOCK")


def revocation(name: str) -> str:
    """Return the revocation of a key, as a block of its own. The key itself stays as it is."""
    public_key(name)
    written = (home() / "openpgp-revocs.d" / f"{fingerprints(name)[0]}.rev").read_text()
    return written[written.index(":-----BEGIN") + 1 :]


@functools.cache
def private_key(name: str) -> str:
    """Return the armoured private key."""
    public_key(name)
    return gpg("--armor", "--export-secret-keys", f"{name}@example.com").decode()


def decrypted(path: Path) -> bytes:
    """Open a file as the holder of the private keys."""
    return gpg("--decrypt", str(path))
