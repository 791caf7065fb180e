"""Opens archives: format, encryption, content, signature, in this order; nothing of it is believed before (section 9)."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal, Self

from doorward.backup import container
from doorward.backup.signing import WrongSignatureError, verify
from doorward.host.drivers import gpg
from doorward.host.errors import HostError
from doorward.tree.jsontext import decode
from doorward.tree.problems import InvalidBody

FORMAT = "doorward-backup/1"
_MANIFEST, _SIGNATURE = "MANIFEST.json", "MANIFEST.sig"
_MAX_MANIFEST = 256 << 10
"""Bytes. It is read before anybody's signature was looked at."""
_CHUNK = 1 << 18

Code = Literal[
    "not_a_backup", "encrypted_archive", "password_required", "wrong_password", "damaged", "bad_signature",
    "unknown_signer", "other_major", "newer_version", "other_node", "cluster_member", "device_missing",
]  # fmt: skip


class ArchiveRefusedError(Exception):
    """Why an archive is not taken: a code of the contract and a sentence."""

    def __init__(self, code: Code, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


@dataclass(slots=True)
class Opened:
    """An archive that is whole and correctly signed, by whomever: ``signer`` is the fingerprint of the key.

    ``files`` holds the content of all but the long files.
    """

    manifest: dict[str, Any]
    signer: str
    public_key: str
    files: dict[str, bytes] = field(repr=False)
    file: IO[bytes] = field(repr=False)

    def lines(self, path: str) -> Iterator[bytes]:
        """Yield the lines of a long file. Raises ArchiveRefusedError ``damaged`` where one is too long or holds too much."""
        try:
            for name, _, content in container.members(self.file):
                if name == path:
                    yield from _lines(path, content)
        except container.DamagedError as damaged:
            raise ArchiveRefusedError("damaged", str(damaged)) from damaged

    def json(self, path: str) -> Any:
        """Return the JSON value of a file. ArchiveRefusedError ``damaged`` where it holds none or too much, or is not there."""
        try:
            _check_values(path, self.files[path])
            return decode(self.files[path])
        except container.DamagedError as damaged:
            raise ArchiveRefusedError("damaged", str(damaged)) from damaged
        except (KeyError, InvalidBody) as error:
            raise ArchiveRefusedError("damaged", f"The archive has no readable {path}.") from error

    def close(self) -> None:
        """Let go of the file; ``lines`` can't be read any more."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_archive(path: Path, password: str | None = None) -> Opened:
    """Open an archive in clear or under a password. Raises ArchiveRefusedError. What is decrypted stays in memory."""
    file: IO[bytes] = path.open("rb")
    try:
        if not container.is_archive(file.read(64)):
            file.close()
            file = _decrypted(path, password)
        return open_plain(file)
    except BaseException:
        file.close()
        raise


def _decrypted(path: Path, password: str | None) -> IO[bytes]:
    packets = gpg.packets(path) if gpg.installed() else gpg.Packets((), 0, other=True)
    if packets.key_ids:
        message = "It is encrypted to a public key: decrypt it with your private key, then upload the result."
        raise ArchiveRefusedError("encrypted_archive", message)
    if not packets.passwords:
        raise ArchiveRefusedError("not_a_backup", "It is no archive of a Doorward configuration.")
    if password is None:
        raise ArchiveRefusedError("password_required", "It is encrypted under a password.")
    if packets.other:
        raise ArchiveRefusedError("damaged", "Its encryption is damaged.")
    file = container.in_memory()
    try:
        right = gpg.decrypt_with_password(path, password, file, container.MAX_BYTES)
    except HostError as failure:
        file.close()
        raise ArchiveRefusedError("damaged", f"It can't be decrypted: {failure.reason}.") from failure
    if not right:
        file.close()
        raise ArchiveRefusedError("wrong_password", "The password does not open it, or it was changed.")
    return file


def open_plain(file: IO[bytes]) -> Opened:
    """Open an archive in clear. Raises ArchiveRefusedError."""
    try:
        container.check_bytes(file)
        return _read(file)
    except container.NotAnArchiveError:
        raise ArchiveRefusedError("not_a_backup", "It is no archive of a Doorward configuration.") from None
    except container.DamagedError as damaged:
        raise ArchiveRefusedError("damaged", str(damaged)) from damaged


def _read(file: IO[bytes]) -> Opened:
    kept: dict[str, bytes] = {}
    found: dict[str, tuple[str, int]] = {}
    held = 0
    for name, size, content in container.members(file):
        if name in found:
            raise container.DamagedError(f"{name} is in it twice.")
        held += 0 if name.startswith(container.STREAMED) else size
        if held > container.MAX_HELD or (name in {_MANIFEST, _SIGNATURE} and size > _MAX_MANIFEST):
            raise container.DamagedError(f"It holds more than an archive does: {name} is too long.")
        digest, chunks, length = hashlib.sha256(), [], 0
        while data := content.read(_CHUNK):
            digest.update(data)
            length += len(data)
            if not name.startswith(container.STREAMED):
                chunks.append(data)
        if length != size:
            raise container.DamagedError(f"{name} is not as long as it should be.")
        found[name] = (digest.hexdigest(), length)
        if not name.startswith(container.STREAMED):
            kept[name] = b"".join(chunks)
    manifest = _manifest(kept.pop(_MANIFEST, b""), found)
    signature = kept.pop(_SIGNATURE, None)
    if signature is None:
        raise container.DamagedError(f"{_SIGNATURE} is missing.")
    return _signed(manifest, signature, kept, file)


def _lines(path: str, content: IO[bytes]) -> Iterator[bytes]:
    while line := content.readline(container.MAX_HELD + 1):
        if len(line) > container.MAX_HELD:
            raise container.DamagedError(f"It holds more than an archive does: a line of {path} is too long.")
        _check_values(path, line)
        yield line


def _check_values(path: str, data: bytes) -> None:
    """Raise Damaged before a JSON text is decoded that would take too much memory."""
    if container.has_too_many_values(data):
        raise container.DamagedError(f"It holds more than an archive does: {path} has too many values.")


def _manifest(inner: bytes, found: dict[str, tuple[str, int]]) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes and the value of the manifest; every other file is as it says, and there is no more."""
    try:
        value = decode(inner)
        if value["format"] != FORMAT:
            raise ArchiveRefusedError("not_a_backup", "It is in a format that this release does not know.")
        listed = {str(entry["path"]): (str(entry["sha256"]), int(entry["size"])) for entry in value["files"]}
        shaped = (
            _is_time(value["created"]) and _is_uuid(value["node"]["id"]) and isinstance(value["node"]["fqdn"], str)
            and isinstance(value["product"]["version"], str) and isinstance(value["revision"]["number"], int)
            and isinstance(value["revision"]["hash"], str) and value["kind"] in {"system", "export"}
        )  # fmt: skip
    except (InvalidBody, KeyError, TypeError, ValueError):
        raise container.DamagedError(f"{_MANIFEST} is missing, or can't be read.") from None
    inside = {name: what for name, what in found.items() if name not in {_MANIFEST, _SIGNATURE}}
    if not shaped or listed.keys() != inside.keys():
        raise container.DamagedError("The files in it are not those that its manifest lists.")
    for name, (digest, size) in inside.items():
        if size != listed[name][1] or not hmac.compare_digest(digest.encode(), listed[name][0].encode()):
            raise container.DamagedError(f"{name} is not what its manifest says.")
    return inner, value


def _is_time(text: object) -> bool:
    """Whether a text is a time as this program writes it. ValueError where it is none at all."""
    return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None


def _is_uuid(text: object) -> bool:
    """Whether a text is a UUID as nodes have it. ValueError where it is none at all."""
    return isinstance(text, str) and str(uuid.UUID(text)) == text


def _signed(
    manifest: tuple[bytes, dict[str, Any]],
    signature: bytes,
    kept: dict[str, bytes],
    file: IO[bytes],
) -> Opened:
    inner, value = manifest
    try:
        sent = decode(signature)
        signer = verify(inner, sent)
    except (InvalidBody, WrongSignatureError):
        raise ArchiveRefusedError("bad_signature", "The signature does not fit: somebody changed the archive.") from None
    return Opened(value, signer, str(sent["public_key"]), kept, file)
