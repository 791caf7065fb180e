"""Proofs about archives: that a stored pair is whole and signed, that an archive opens, that it would restore (section 8)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

from msgspec import Struct

from doorward.backup import encryption
from doorward.backup.content import TREE, tree_json
from doorward.backup.failure import BackupError
from doorward.backup.node import NodeView
from doorward.backup.restore.loading import Loaded, NotLoadableError, load, rehearse
from doorward.backup.restore.opening import ArchiveRefusedError, Opened, open_archive, open_plain
from doorward.backup.signing import NodeSigningKeys, WrongSignatureError, verify
from doorward.backup.targets.limits import MAX_ARCHIVE
from doorward.host.drivers import gpg
from doorward.transaction.candidate import Running
from doorward.tree.jsontext import decode, encode
from doorward.tree.problems import InvalidBody

SignatureState = Literal["valid", "unknown_signer", "invalid", "absent"]
_CHUNK = 1 << 20
_MAX_TEXT, _MAX_RECIPIENTS = 255, 8


class Claims(Struct, frozen=True):
    """What the manifest beside an archive says, and who signed it; ``manifest`` is empty where nothing can be read."""

    signature: SignatureState
    manifest: Mapping[str, Any]
    signer: str | None
    ours: bool


def read_manifest(data: bytes | None, signing: NodeSigningKeys) -> Claims:
    """Read the manifest beside an archive; None where there is none."""
    if data is None:
        return Claims("absent", {}, None, ours=False)
    try:
        value = decode(data)
        manifest = _needed(value["manifest"])
        if manifest is None or encode(value) != data:
            return Claims("invalid", {}, None, ours=False)
        signer = verify(encode(value["manifest"]), value["signature"])
    except (InvalidBody, KeyError, TypeError, WrongSignatureError):
        return Claims("invalid", {}, None, ours=False)
    role = signing.role(signer)
    state: SignatureState = "valid" if role is not None else "unknown_signer"
    return Claims(state, manifest, signer, ours=signing.is_own(signer))


def _needed(manifest: Any) -> dict[str, Any] | None:
    """Return what is needed of a manifest, and no more: anybody can sign one. None where that is not what it should be.

    Raises KeyError or TypeError where it is not there.
    """
    archive, content, node, revision = (manifest[name] for name in ("archive", "content", "node", "revision"))
    texts = [
        archive["name"], archive["sha256"], content["sha256"], manifest["created"], node["id"], revision["hash"],
        *archive["recipients"],
    ]  # fmt: skip
    shaped = (
        all(isinstance(text, str) and len(text) <= _MAX_TEXT for text in texts)
        and isinstance(archive["recipients"], list) and len(archive["recipients"]) <= _MAX_RECIPIENTS
        and isinstance(archive["size"], int) and isinstance(archive["encrypted"], bool) and isinstance(revision["number"], int)
    )  # fmt: skip
    return {
        "archive": {name: archive[name] for name in ("encrypted", "name", "recipients", "sha256", "size")},
        "content": {"sha256": content["sha256"]},
        "created": manifest["created"],
        "node": {"id": node["id"]},
        "revision": {"hash": revision["hash"], "number": revision["number"]},
    } if shaped else None  # fmt: skip


def size_of(manifest: bytes, signing: NodeSigningKeys) -> int:
    """Return how many bytes the archive beside a manifest may have: as many as were written, if it is signed by this node."""
    claims = read_manifest(manifest, signing)
    return min(int(claims.manifest["archive"]["size"]), MAX_ARCHIVE) if claims.ours else MAX_ARCHIVE


def check_pair(name: str, archive: Path, manifest: bytes, signing: NodeSigningKeys, certificate: str | None = None) -> Claims:
    """Prove that an archive and the manifest beside it are ours and unchanged. Raises BackupError ``drill_failed``.

    ``name`` is that of the archive on the target, so that no older pair takes its place. ``certificate``: the configured one; the
    recipient of an encrypted archive is looked up in it if it was made for that one.
    """
    claims = read_manifest(manifest, signing)
    if not claims.ours:
        raise BackupError("drill_failed", f"The manifest beside the archive is not signed by this node ({claims.signature}).")
    expected = claims.manifest["archive"]
    if expected["name"] != name:
        raise BackupError("drill_failed", f"The manifest beside the archive is that of {expected['name']}.")
    digest, size = hashlib.sha256(), 0
    with archive.open("rb") as file:
        while data := file.read(_CHUNK):
            digest.update(data)
            size += len(data)
    if size != expected["size"] or not hmac.compare_digest(digest.hexdigest(), expected["sha256"]):
        message = f"The archive has {size} bytes and SHA-256 {digest.hexdigest()}, not what its manifest says."
        raise BackupError("drill_failed", message)
    if expected["encrypted"]:
        _check_recipient(archive, expected["recipients"], certificate)
    return claims


def _check_recipient(archive: Path, recipients: list[str], certificate: str | None) -> None:
    if not gpg.installed():
        raise BackupError("gpg_absent", "gpg is not installed any more.")
    for found in encryption.certificates(certificate) if certificate else []:
        if [found.primary.fingerprint] == recipients:
            encryption.check_recipient(archive, found)
            return
    packets = gpg.packets(archive)
    if packets.other or packets.passwords or len(packets.key_ids) != 1:
        raise BackupError("drill_failed", "The archive is not encrypted to one key alone.")


def check_signer(opened: Opened, signing: NodeSigningKeys) -> None:
    """Raise BackupError ``drill_failed`` unless an opened archive was signed by a key that this node knows."""
    if signing.role(opened.signer) is None:
        raise BackupError("drill_failed", f"The archive is signed by an unknown key, {opened.signer}.")


def restorable(opened: Opened, node: NodeView) -> Loaded:
    """Load an opened archive into nothing, with schema, rules and a plan. Raises BackupError ``drill_failed``."""
    try:
        loaded = load(opened, node.pipeline.tree, node.machine)
        rehearse(loaded, node.pipeline)
    except (NotLoadableError, ArchiveRefusedError) as error:
        raise BackupError("drill_failed", f"It would not restore: {error}") from error
    return loaded


def self_check(node: NodeView, file: IO[bytes], running: Running) -> None:
    """Prove of a new archive, before it is encrypted, that it would restore. Raises BackupError ``self_check``."""
    try:
        opened = open_plain(file)
        loaded = load(opened, node.pipeline.tree, node.machine)
        rehearse(loaded, node.pipeline)
    except (NotLoadableError, ArchiveRefusedError) as error:
        raise BackupError("self_check", f"The archive would not restore: {error}") from error
    tree = node.pipeline.tree
    if not opened.files[TREE] == tree_json(tree, loaded.snapshot) == tree_json(tree, running.snapshot):
        raise BackupError("self_check", "The archive does not hold the running configuration.")


class Checks:
    """The checks of drills, as one thing (see ``drills``). Everything raises BackupError."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def size(self, manifest: bytes) -> int:
        """How many bytes the archive beside a manifest may have."""
        return size_of(manifest, self._node.signing)

    def stored(self, name: str, archive: Path, manifest: bytes) -> None:
        """Both files belong together and to the name, unchanged and signed here; an encrypted one is for the configured key."""
        snapshot = self._node.pipeline.running.snapshot
        check_pair(name, archive, manifest, self._node.signing, encryption.configured(snapshot))

    def readable(self, archive: Path, password: str | None) -> Opened:
        """Open an archive and compare everything inside with its manifest; the signer is known. Raises BackupError."""
        try:
            opened = open_archive(archive, password)
        except ArchiveRefusedError as refused:
            raise BackupError("drill_failed", refused.message) from refused
        opened.close()  # what is left to look at was read
        check_signer(opened, self._node.signing)
        return opened

    def restorable(self, opened: Opened) -> None:
        """Load an opened archive into an empty node."""
        restorable(opened, self._node)
