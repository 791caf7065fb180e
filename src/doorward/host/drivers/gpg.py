"""gpg, one process per question, in a throw-away home: no key ring, no agent, no options file of anybody's, no privileges."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from msgspec import Struct

from doorward.host import unprivileged
from doorward.host.drivers.openpgp import OpenPgpCertificate, listed
from doorward.host.errors import HostError

_SECONDS: Final = 120.0
_MAX_LISTING: Final = 1 << 20
_MAX_FILE: Final = 128 << 20
"""Bytes of a file that gpg writes: twice as much as an archive has."""
_RECIPIENT: Final = "recipient.asc"
_PUBKEY: Final = re.compile(rb"^:pubkey enc packet:.* keyid ([0-9A-F]{16})", re.MULTILINE)
_SYMKEY: Final = re.compile(rb"^:symkey enc packet:", re.MULTILINE)


def installed() -> bool:
    """Whether the program is there."""
    return shutil.which("gpg") is not None


@contextmanager
def _home(recipient: str = "") -> Iterator[Path]:
    """A throw-away home of gpg's, which can't write anywhere else; with the certificate of a recipient where there is one."""
    with tempfile.TemporaryDirectory(prefix="doorward-gpg-", dir=unprivileged.runtime()) as directory:
        home = Path(directory)
        if recipient:  # before the home belongs to gpg, which could put a link there
            (home / _RECIPIENT).write_text(recipient, encoding="utf-8")
            unprivileged.give(home / _RECIPIENT)
        unprivileged.give(home)
        yield home


def _command(home: Path, *arguments: str) -> list[str]:
    fixed = ("--no-options", "--no-autostart", "--batch", "--no-tty", "--quiet", "--display-charset", "utf-8")
    return unprivileged.command(["gpg", "--homedir", str(home), *fixed, *arguments], _MAX_FILE)


def run(
    home: Path,
    *arguments: str,
    data: bytes = b"",
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    secret: bytes | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run gpg. ``secret`` reaches it through a pipe as its pass phrase. HostError where it does not start or does not end."""
    command, passed = _command(home), list[int]()
    if secret is not None:
        reading, writing = os.pipe()
        os.write(writing, secret + b"\n")  # far below what a pipe holds
        os.close(writing)
        command += ["--pinentry-mode", "loopback", "--passphrase-fd", str(reading)]
        passed = [reading]
    try:
        return subprocess.run(
            [*command, *arguments],
            input=data if stdin is None else None,
            stdin=stdin,
            stdout=stdout if stdout is not None else subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=passed,
            timeout=_SECONDS,
            check=False,
            env=_environment(home),
            restore_signals=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError("gpg does not start, or does not end") from error
    finally:
        for descriptor in passed:
            os.close(descriptor)


def certificates(data: bytes) -> list[OpenPgpCertificate]:
    """Return the certificates in a text or in bytes; nothing is imported. What is no OpenPGP key has none."""
    with _home() as home:
        listing = run(home, "--with-colons", "--with-fingerprint", "--with-fingerprint", "--show-keys", data=data).stdout
    return listed(listing)


def canonical(data: bytes) -> str:
    """Return the armoured certificate as gpg holds it after the import: revocations that came beside it are in it.

    Without signatures of others. HostError where gpg does not take it.
    """
    with _home() as home:
        if b"no public key" in run(home, "--import", data=data).stderr:  # a revocation may come before its key
            run(home, "--import", data=data)
        done = run(home, "--armor", "--export-options", "export-minimal", "--export")
    text = done.stdout.decode("ascii", "replace")
    if not text.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----"):
        raise HostError("gpg does not take the certificate")
    return text


_PLAIN = ("--compress-algo", "none", "--cipher-algo", "AES256", "--output", "-")


def encrypt(plain: IO[bytes], certificate: str, into: IO[bytes]) -> None:
    """Encrypt a file to a certificate's newest usable subkey, binary. HostError where gpg can't."""
    plain.seek(0)
    with _home(certificate) as home:
        done = run(home, *_PLAIN, "--recipient-file", str(home / _RECIPIENT), "--encrypt", stdin=plain, stdout=into)
    if done.returncode:
        raise _failed(done)


def _failed(done: subprocess.CompletedProcess[bytes]) -> HostError:
    """Return why gpg does not encrypt."""
    ends = tuple(
        f": {os.strerror(code)}".encode() for code in (errno.ENOSPC, errno.EDQUOT)
    )  # elsewhere a name of the key may stand
    kind = DiskFull if any(line.endswith(ends) for line in done.stderr.splitlines()) else HostError
    return kind(f"gpg does not encrypt: {_said(done.stderr)}")


def try_encryption(certificate: str) -> None:
    """Encrypt nothing to a certificate. HostError where gpg can't."""
    with tempfile.TemporaryFile() as nothing, tempfile.TemporaryFile() as nowhere:
        encrypt(nothing, certificate, nowhere)


def encrypt_with_password(plain: IO[bytes], password: str, into: IO[bytes]) -> None:
    """Encrypt a file under a password, binary: AES-256, iterated and salted SHA-512. HostError where gpg can't."""
    strong = ("--s2k-mode", "3", "--s2k-digest-algo", "SHA512", "--s2k-cipher-algo", "AES256", "--s2k-count", "65011712")
    plain.seek(0)
    with _home() as home:
        done = run(home, *_PLAIN, *strong, "--symmetric", stdin=plain, stdout=into, secret=password.encode())
    if done.returncode:
        raise _failed(done)


def decrypt_with_password(encrypted: Path, password: str, into: IO[bytes], most: int) -> bool:
    """Decrypt a file with a password; False where it is not the right one, or the file was changed, or holds too much."""
    with _home() as home, encrypted.open("rb") as stdin:
        limited = ("--max-output", str(most), "--output", "-", "--decrypt")
        return run(home, *limited, stdin=stdin, stdout=into, secret=password.encode()).returncode == 0


class DiskFull(HostError):
    """There is no space for what gpg writes."""


class Packets(Struct, frozen=True):
    """How a file is encrypted: the ids of the keys it was encrypted to, and whether a password opens it."""

    key_ids: tuple[str, ...]
    passwords: int
    other: bool
    """Whether anything follows or stands between that belongs to no encrypted message with integrity protection."""


def packets(path: Path) -> Packets:
    """List the packets of a file; gpg has no key and no password here, so nothing is opened.

    What is compressed is unpacked, though: a small file of somebody's may have more packets than memory holds the list of. Such
    a one, and one that gpg does not get through, is no encrypted message.
    """
    listing = _listing(path)
    if listing is None:
        return Packets((), 0, other=True)
    kinds = re.findall(rb"^:([a-z ]+) packet:", listing, re.MULTILINE)
    sealed = kinds.count(b"encrypted data") == 1 and b"mdc_method: 2" in listing and kinds[-1] == b"encrypted data"
    known = {b"pubkey enc", b"symkey enc", b"encrypted data"}
    return Packets(
        tuple(found.decode() for found in _PUBKEY.findall(listing)),
        len(_SYMKEY.findall(listing)),
        not sealed or bool(set(kinds) - known),
    )


def _listing(path: Path) -> bytes | None:
    """Return what gpg lists; None where that is too long, or takes too long."""
    with (
        _home() as home,
        path.open("rb") as stdin,
        subprocess.Popen(
            _command(home, "--list-only", "--list-packets"),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(home),
            restore_signals=False,
        ) as gpg,
    ):
        in_time = threading.Timer(_SECONDS, gpg.kill)
        in_time.start()
        try:
            listing = gpg.stdout.read(_MAX_LISTING) if gpg.stdout is not None else b""
            if len(listing) == _MAX_LISTING:
                gpg.kill()
            return listing if gpg.wait() >= 0 else None
        finally:
            in_time.cancel()


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "HOME": str(home)}


def _said(words: bytes) -> str:
    lines = [line.removeprefix("gpg: ") for line in words.decode("utf-8", "replace").splitlines() if line.strip()]
    return "".join(c for c in "; ".join(lines)[:300] if c.isprintable()) or "it says nothing"
