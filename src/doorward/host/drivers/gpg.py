"""gpg, one process per question, in a throw-away home: no key ring, no agent, no options file of anybody's, no privileges."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from doorward.host import unprivileged
from doorward.host.errors import HostError

_SECONDS: Final = 120.0
_MAX_LISTING: Final = 1 << 20
_LARGEST: Final = 128 << 20
"""Bytes of a file that gpg writes: twice as much as an archive has."""
_RECIPIENT: Final = "recipient.asc"
_PUBKEY: Final = re.compile(rb"^:pubkey enc packet:.* keyid ([0-9A-F]{16})", re.MULTILINE)
_SYMKEY: Final = re.compile(rb"^:symkey enc packet:", re.MULTILINE)
_ESCAPE: Final = re.compile(rb"\\x([0-9a-fA-F]{2})")


def installed() -> bool:
    """Whether the program is there."""
    return shutil.which("gpg") is not None


_VOID: Final = frozenset({"r", "i", "d", "n"})
"""Validities of keys that will never be of use."""


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or a subkey. ``validity`` as gpg tells it: r revoked, e expired, i invalid; times are Unix times."""

    id: str
    fingerprint: str
    validity: str
    algorithm: int
    bits: int
    created: int
    expires: int | None
    capabilities: str

    @property
    def encrypts(self) -> bool:
        """Whether it was made for encryption."""
        return "e" in self.capabilities

    @property
    def is_from_the_future(self) -> bool:
        """Whether it was made after the present moment of this machine's clock: gpg takes no such key."""
        return self.created > time.time()

    @property
    def usable(self) -> bool:
        """Whether it encrypts now."""
        return self.encrypts and not self.is_from_the_future and self.validity not in {"e", *_VOID}


@dataclass(slots=True)
class OpenPgpCertificate:
    """An OpenPGP certificate; ``secret`` when it came with secret key material."""

    primary: Key
    secret: bool
    subkeys: list[Key] = field(default_factory=list)
    uids: list[str] = field(default_factory=list)
    """User ids in the key's order, without revoked ones."""

    @property
    def recipient(self) -> Key | None:
        """The key that gpg encrypts to: the newest usable encryption subkey, else the primary key if it encrypts."""
        usable = [key for key in self.subkeys if key.usable]
        if usable:
            return max(usable, key=lambda key: key.created)
        return self.primary if self.primary.usable else None

    @property
    def obstacle(self) -> tuple[str, str] | None:
        """Why nothing can be encrypted to it now: a code and words for people, None where something can.

        Codes: ``not_yet_valid``, ``revoked``, ``disabled``, ``expired``, ``cannot_encrypt``.
        """
        validity, keys = self.primary.validity, [key for key in (self.primary, *self.subkeys) if key.encrypts]
        future = self.primary if self.primary.is_from_the_future else next((key for key in keys if key.is_from_the_future), None)
        made, now = (time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at)) for at in (future.created if future else 0, time.time()))
        missing = self.recipient is None
        reasons = (
            (validity == "r", "revoked", "The key is revoked."),
            (validity == "d" or "D" in self.primary.capabilities, "disabled", "The key is disabled."),
            (
                missing and future is not None, "not_yet_valid",
                f"The key was made at {made} UTC, but the clock here says {now}: it is not yet valid. Look at the clock.",
            ),
            (validity == "e", "expired", "The key is expired."),
            (not self.uids, "cannot_encrypt", "The key has no user id that is valid; gpg takes none without."),
            (missing and any(key.validity == "e" for key in keys), "expired", "No part of the key that encrypts is still valid."),
            (missing and any(key.validity == "r" for key in keys), "revoked", "Every part of the key that encrypts is revoked."),
            (missing, "cannot_encrypt", "The key can only sign; it has no part to encrypt to."),
        )  # fmt: skip
        return next(((code, words) for holds, code, words in reasons if holds), None)

    @property
    def end(self) -> int | None:
        """The Unix time from which on nothing can be encrypted to it; None: never."""
        ends = [key.expires for key in (self.primary, *self.subkeys) if key.encrypts and key.validity not in _VOID]
        last = None if None in ends else max((end for end in ends if end is not None), default=None)
        return min((end for end in (self.primary.expires, last) if end is not None), default=None)


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
    return unprivileged.command(["gpg", "--homedir", str(home), *fixed, *arguments], _LARGEST)


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
    found: list[OpenPgpCertificate] = []
    row: Sequence[bytes] = ()
    for line in listing.split(b"\n"):
        fields = line.split(b":")
        match fields[0]:
            case b"pub" | b"sec" | b"sub" | b"ssb":
                row = fields
            case b"fpr" if row:
                key = _key(row, fields[9].decode())
                if row[0] in {b"pub", b"sec"}:
                    found.append(OpenPgpCertificate(key, row[0] == b"sec"))
                else:
                    found[-1].subkeys.append(key)
                    found[-1].secret = found[-1].secret or row[0] == b"ssb"
                row = ()
            case b"uid" if found and fields[1] != b"r":
                found[-1].uids.append(_unescaped(fields[9]))
            case _:
                pass
    return found


def _key(row: Sequence[bytes], fingerprint: str) -> Key:
    fields = [value.decode("ascii", "replace") for value in row]
    return Key(
        fields[4],
        fingerprint,
        fields[1],
        int(fields[3]),
        int(fields[2]),
        int(fields[5] or 0),
        int(fields[6]) if fields[6] else None,
        fields[11],
    )


def _unescaped(value: bytes) -> str:
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), value).decode("utf-8", "replace")


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


@dataclass(frozen=True, slots=True)
class Packets:
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
