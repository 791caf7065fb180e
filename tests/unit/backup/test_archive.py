"""Archives as they leave a node: what is in them, who signed them, and what every other program makes of them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import string
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from doorward.backup import archive, container, encryption, names
from doorward.backup.archive import prepare
from doorward.backup.checking import Checks, check_pair, read_manifest
from doorward.backup.failure import BackupError
from doorward.backup.restore.opening import ArchiveRefusedError, open_archive
from doorward.host.drivers import gpg
from doorward.store.anchor import anchors_in
from doorward.store.port import Edit
from tests.support import openpgp
from tests.unit.backup.parts import ENCRYPTION, SHARE_PASSWORD, encrypting
from tests.unit.transaction.rig import ZONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.backup.parts import Site

NOW = datetime(2026, 11, 21, 23, 0, 2, tzinfo=UTC)


def canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def unpacked(path: Path, into: Path) -> dict[str, bytes]:
    """The files of an archive as the program tar sees them."""
    into.mkdir()
    subprocess.run(["tar", "-xzf", str(path), "-C", str(into)], check=True)
    return {str(file.relative_to(into)): file.read_bytes() for file in into.rglob("*") if file.is_file()}


def signed(signature: Any, data: bytes) -> None:
    """Check a signature by the contract alone."""
    raw = base64.b64decode(signature["public_key"], validate=True)
    assert signature["algorithm"] == "ed25519"
    assert signature["key"] == "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
    Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(signature["signature"]), data)


def test_an_archive_in_clear_is_a_tar_of_json(site: Site, tmp_path: Path) -> None:
    made = prepare(site.filled().node, site.spool, NOW)
    assert made.name == f"doorward-20261121T230002Z-{site.node.id[:8]}.config"
    assert made.archive.stat().st_mode & 0o777 == made.manifest.stat().st_mode & 0o777 == 0o600
    files = unpacked(made.archive, tmp_path / "u")
    assert sorted(files) == [
        "MANIFEST.json", "MANIFEST.sig", "backup/runs.jsonl", "cluster/membership.json", "configuration/revision.json",
        "configuration/tree.json", "history/revisions.jsonl", "secrets/passwords.json", "secrets/private_keys.json",
        "secrets/x509.json",
    ]  # fmt: skip
    with tarfile.open(made.archive) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == sorted(files) == list(made.paths)
    time = datetime.fromisoformat(json.loads(files["configuration/revision.json"])["time"]).timestamp()
    assert {(m.uid, m.gid, m.mode, m.mtime, m.uname, m.gname) for m in members} == {(0, 0, 0o600, time, "", "")}
    for name, data in files.items():
        if name.endswith(".json"):
            assert data == canonical(json.loads(data))


def test_the_inner_manifest_lists_and_signs_everything(site: Site, tmp_path: Path) -> None:
    made = prepare(site.filled().node, site.spool, NOW)
    files = unpacked(made.archive, tmp_path / "u")
    inner, signature = files.pop("MANIFEST.json"), json.loads(files.pop("MANIFEST.sig"))
    running = site.rig.pipeline.running
    assert json.loads(inner) == {
        "created": "2026-11-21T23:00:02Z",
        "files": [
            {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in sorted(files.items())
        ],
        "format": "doorward-backup/1",
        "kind": "system",
        "node": {"fqdn": json.loads(inner)["node"]["fqdn"], "id": site.node.id},
        "product": {"name": "doorward", "version": "0.1.0"},
        "revision": {"hash": running.hash, "number": running.number},
    }
    signed(signature, inner)
    assert signature["key"] == site.node.signing.fingerprint


def test_the_manifest_beside_is_that_of_the_contract(site: Site) -> None:
    made = prepare(site.filled().encrypted().node, site.spool, NOW)
    assert made.manifest.name == made.name + ".manifest"
    data = made.archive.read_bytes()
    value = json.loads(made.manifest.read_bytes())
    assert made.manifest.read_bytes() == canonical(value)
    anchor = site.node.pipeline.store.anchor()
    assert anchor is not None
    assert list(anchors_in(made.manifest.read_text())) == [anchor]
    plain = openpgp.decrypted(made.archive)
    inner = value["manifest"]["content"].pop("manifest_sha256")
    running = site.rig.pipeline.running
    assert value["manifest"] == {
        "archive": {
            "encrypted": True,
            "name": f"doorward-20261121T230002Z-{site.node.id[:8]}.config.gpg",
            "recipients": openpgp.fingerprints("good")[:1],
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": len(data),
        },
        "content": {"sha256": hashlib.sha256(plain).hexdigest(), "size": len(plain)},
        "created": "2026-11-21T23:00:02Z",
        "format": "doorward-backup/1",
        "history": anchor.as_json(),
        "node": {"fqdn": value["manifest"]["node"]["fqdn"], "id": site.node.id},
        "revision": {"hash": running.hash, "number": running.number},
    }
    assert (made.sha256, made.size, made.encrypted) == (hashlib.sha256(data).hexdigest(), len(data), True)
    assert made.revision == value["manifest"]["revision"]
    value["manifest"]["content"]["manifest_sha256"] = inner
    signed(value["signature"], canonical(value["manifest"]))
    file = site.spool / "plain"
    file.write_bytes(plain)
    assert hashlib.sha256(unpacked(file, site.spool / "u")["MANIFEST.json"]).hexdigest() == inner


def test_secrets_are_in_the_form_in_which_they_are_kept(site: Site, tmp_path: Path) -> None:
    files = unpacked(prepare(site.filled().node, site.spool, NOW).archive, tmp_path / "u")
    passwords = json.loads(files["secrets/passwords.json"])
    assert sorted(secret["form"] for secret in passwords.values()) == ["hash", "hash", "sealed"]
    assert [secret["text"] for secret in passwords.values() if secret["form"] == "sealed"] == [SHARE_PASSWORD]
    assert all(secret["text"].startswith("$argon2id$") for secret in passwords.values() if secret["form"] == "hash")
    identities = json.loads(files["secrets/x509.json"]).values()
    assert len(identities) == 1 + 3, "the node's own three and one more"
    assert all("BEGIN PRIVATE KEY" in identity["text"] for identity in identities)
    tree = json.loads(files["configuration/tree.json"])
    assert sorted(tree["/api/configuration/passwords"]["@order"]) == sorted(passwords), "and none that nobody owns"
    everything = b"".join(files.values())
    for secret in (site.directory / "data.key", site.directory / "backup" / "signing-key.pem"):
        assert secret.read_bytes() not in everything
    assert b"nobody came to own this" not in everything


def test_the_history_is_in_it(site: Site, tmp_path: Path) -> None:
    files = unpacked(prepare(site.filled().node, site.spool, NOW).archive, tmp_path / "u")
    lines = [json.loads(line) for line in files["history/revisions.jsonl"].splitlines()]
    assert [line["number"] for line in lines] == list(range(1, site.rig.number + 1))
    assert lines[1]["message"] == "Zürich, first"
    assert [line["parent"] for line in lines] == ["", *(line["hash"] for line in lines[:-1])]
    assert len(lines[1]["changes"]) == 2


def test_wherever_the_making_is_broken_off_nothing_is_left(site: Site) -> None:
    site.filled()
    left = 0

    def check() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise BackupError("shutdown", "The run was broken off.")

    for passed in range(2 * site.rig.number + 2):  # the history is read twice; the proof comes between two more
        left = passed
        with pytest.raises(BackupError, match="broken off"):
            archive.prepare(site.node, site.spool, check=check)
        assert list(site.spool.iterdir()) == []


def test_of_a_second_archive_only_what_is_new_is_looked_through_before(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.filled()
    prepare(site.node, site.spool, NOW)
    site.rig.committed((ZONE, "Europe/Vienna"))
    edits, read = site.rig.store.edits, list[int]()

    def counted(number: int) -> list[Edit]:
        read.append(number)
        return edits(number)

    monkeypatch.setattr(site.rig.store, "edits", counted)
    made = prepare(site.node, site.spool, datetime(2026, 11, 22, tzinfo=UTC))
    assert read == [site.rig.number, *range(1, site.rig.number + 1)]
    fresh = unpacked(prepare(site.view(), site.spool, datetime(2026, 11, 23, tzinfo=UTC)).archive, tmp_path / "fresh")
    assert unpacked(made.archive, tmp_path / "made")["history/revisions.jsonl"] == fresh["history/revisions.jsonl"]


def test_the_same_revision_gives_the_same_bytes(site: Site, tmp_path: Path) -> None:
    node = site.filled().node
    first = unpacked(prepare(node, site.spool, NOW).archive, tmp_path / "a")
    second = unpacked(prepare(node, site.spool, datetime(2026, 11, 22, tzinfo=UTC)).archive, tmp_path / "b")
    assert {name for name in first if first[name] != second[name]} == {"MANIFEST.json", "MANIFEST.sig"}


def test_an_encrypted_archive_is_for_the_newest_subkey_alone(site: Site) -> None:
    made = prepare(site.filled().encrypted("rotated").node, site.spool, NOW)
    assert gpg.packets(made.archive) == gpg.Packets((openpgp.fingerprints("rotated")[2][-16:],), 0, other=False)
    listing = openpgp.gpg("--list-packets", str(made.archive)).decode()
    assert "mdc_method: 2" in listing
    assert ":compressed packet:" not in listing
    shown = openpgp.gpg("--decrypt", "--show-session-key", str(made.archive))
    assert shown[:3] == b"\x1f\x8b\x08"


def test_with_encryption_nothing_is_on_the_disk_in_clear(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    site.filled().encrypted()
    written: list[bytes] = []
    checked = encryption.check

    def look(path: Path, certificate: str) -> Any:
        files = [file for place in (scratch, site.directory) for file in place.rglob("*") if file.is_file()]
        written.extend(file.read_bytes() for file in files)
        return checked(path, certificate)

    monkeypatch.setattr(encryption, "check", look)
    prepare(site.node, site.spool, NOW)
    assert written
    assert not any(SHARE_PASSWORD.encode() in data or data[:2] == b"\x1f\x8b" for data in written)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(("name", "code"), [("expired", "key_expired"), ("revoked", "key_revoked")])
def test_a_key_that_went_bad_lets_nothing_leave(site: Site, name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site.encrypted()
    monkeypatch.setattr(encryption, "configured", lambda _: openpgp.public_key(name))
    with pytest.raises(BackupError) as caught:
        prepare(site.node, site.spool, NOW)
    assert caught.value.code == code
    assert list(site.spool.iterdir()) == []


def test_a_file_for_somebody_else_does_not_leave(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.encrypted()
    encrypt = gpg.encrypt
    monkeypatch.setattr(gpg, "encrypt", lambda plain, _, into: encrypt(plain, openpgp.public_key("other"), into))
    with pytest.raises(BackupError) as caught:
        prepare(site.node, site.spool, NOW)
    assert caught.value.code == "encryption_check"
    assert list(site.spool.iterdir()) == []


def test_a_file_that_a_password_opens_as_well_does_not_leave(site: Site) -> None:
    openpgp.public_key("good")
    path = site.spool / "both"
    recipient = openpgp.fingerprints("good")[0]
    both = ("--trust-model", "always", "--symmetric", "--encrypt", "--recipient", recipient, "--output", str(path))
    openpgp.gpg("--passphrase", "a second way in", *both, data=b"content")
    with pytest.raises(BackupError) as caught:
        encryption.check(path, openpgp.public_key("good"))
    assert caught.value.code == "encryption_check"
    assert not path.exists()


def test_without_gpg_nothing_leaves(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.encrypted()
    monkeypatch.setattr(gpg, "installed", lambda: False)
    with pytest.raises(BackupError) as caught:
        prepare(site.node, site.spool, NOW)
    assert caught.value.code == "gpg_absent"


def test_a_pair_is_whole_and_ours(new_site: Callable[[], Site]) -> None:
    site, other = new_site().filled().encrypted(), new_site()
    made = prepare(site.node, site.spool, NOW)
    manifest = made.manifest.read_bytes()
    claims = check_pair(made.name, made.archive, manifest, site.node.signing, openpgp.public_key("good"))
    assert (claims.signature, claims.ours, claims.manifest["archive"]["name"]) == ("valid", True, made.name)
    check_pair(made.name, made.archive, manifest, site.node.signing, openpgp.public_key("other"))  # the key was changed meanwhile
    foreign = read_manifest(manifest, other.node.signing)
    assert (foreign.signature, foreign.ours) == ("unknown_signer", False)
    other.node.signing.trust(json.loads(manifest)["signature"]["public_key"])
    assert (read_manifest(manifest, other.node.signing).signature, foreign.ours) == ("valid", False)
    with pytest.raises(BackupError):
        check_pair(made.name, made.archive, manifest, other.node.signing)
    with pytest.raises(BackupError, match=made.name):
        check_pair(made.name.replace("doorward-20", "doorward-21"), made.archive, manifest, site.node.signing)
    assert read_manifest(None, site.node.signing).signature == "absent"
    for wrong in (b"", b"{}", b"[]", b'{"manifest":{}}', manifest + b" ", manifest.replace(b"config.gpg", b"config")):
        assert read_manifest(wrong, site.node.signing).signature == "invalid"


_DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
NEIGHBOURS = {ord(digit): ord(_DIGITS[place ^ 1]) for place, digit in enumerate(_DIGITS)}
"""Digits of base64 that differ in the last bit."""


def _quoted(text: bytes | bytearray, at: int) -> bytes:
    """The string of a JSON text that a place is in."""
    return bytes(text[text.rindex(b'"', 0, at) + 1 : text.index(b'"', at)])


def test_every_changed_bit_of_a_stored_pair_is_found(site: Site) -> None:
    made = prepare(site.encrypted().node, site.spool, NOW)
    manifest, data = made.manifest.read_bytes(), made.archive.read_bytes()
    for at in range(0, len(manifest), 7):
        changed = bytearray(manifest)
        changed[at] ^= 1 << (at % 8)
        assert not read_manifest(bytes(changed), site.node.signing).ours, at
    for padded in (b'="', b'=="'):  # the last digits of the key and of the signature have bits that stand for nothing
        at = manifest.rindex(padded) - 1 if padded == b'=="' else manifest.index(padded) - 1
        changed = bytearray(manifest)
        changed[at] = NEIGHBOURS[changed[at]]
        assert base64.b64decode(_quoted(changed, at)) == base64.b64decode(_quoted(manifest, at))
        assert read_manifest(bytes(changed), site.node.signing).signature == "invalid"
    for at in (0, 1, 50, 100, len(data) // 2, len(data) - 1):
        changed = bytearray(data)
        changed[at] ^= 1
        made.archive.write_bytes(changed)
        with pytest.raises(BackupError) as caught:
            check_pair(made.name, made.archive, manifest, site.node.signing)
        assert caught.value.code == "drill_failed"


def test_every_changed_bit_of_an_archive_in_clear_is_found(site: Site) -> None:
    made = prepare(site.filled().node, site.spool, NOW)
    data = made.archive.read_bytes()
    open_archive(made.archive).close()
    for at in [*range(60), *range(60, len(data) - 12, max(1, len(data) // 150)), *range(len(data) - 12, len(data))]:
        changed = bytearray(data)
        changed[at] ^= 1 << (at % 8)
        made.archive.write_bytes(changed)
        with pytest.raises(ArchiveRefusedError) as caught:
            open_archive(made.archive)
        assert caught.value.code in {"not_a_backup", "damaged"}, at
    for cut in (data[:-1], data + b"\0", data + data, data[:100], b""):
        made.archive.write_bytes(cut)
        with pytest.raises(ArchiveRefusedError):
            open_archive(made.archive)


def test_drills_pass_on_what_was_made(new_site: Callable[[], Site]) -> None:
    site, other = new_site().filled(), new_site()
    made = prepare(site.node, site.spool, NOW)
    checks = Checks(site.node)
    checks.stored(made.name, made.archive, made.manifest.read_bytes())
    opened = checks.readable(made.archive, None)
    checks.restorable(opened)
    with pytest.raises(BackupError, match="unknown key"):
        Checks(other.node).readable(made.archive, None)
    made.archive.write_bytes(b"something else")
    with pytest.raises(BackupError) as caught:
        checks.readable(made.archive, None)
    assert caught.value.code == "drill_failed"


def test_an_archive_that_would_not_restore_is_not_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.backup.content.secrets", lambda *_: {})
    with pytest.raises(BackupError) as caught:
        prepare(site.filled().node, site.spool, NOW)
    assert caught.value.code == "self_check"
    assert list(site.spool.iterdir()) == []


def test_what_could_not_be_uploaded_again_is_not_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.backup.container.MAX_BYTES", 1000)
    with pytest.raises(BackupError) as caught:
        prepare(site.node, site.spool, NOW)
    assert caught.value.code == "too_large"


def test_exports_in_three_ways(site: Site) -> None:
    site.filled().encrypted()
    for selection, password in (("none", ""), ("password", "päss wörd for this"), ("gpg", "")):
        path = site.spool / selection
        facts = archive.export(site.node, path, selection, password)  # type: ignore[arg-type]
        data = path.read_bytes()
        assert facts == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        assert path.stat().st_mode & 0o777 == 0o600
    with open_archive(site.spool / "none") as opened, open_archive(site.spool / "password", "päss wörd for this") as other:
        assert "backup/runs.jsonl" not in opened.files
        assert opened.manifest["kind"] == "export"
        assert other.files.keys() == opened.files.keys()
    codes = []
    wrong: list[tuple[str, str | None]] = [("password", None), ("password", "wrong"), ("gpg", None), ("gpg", "x")]
    for name, given in wrong:
        with pytest.raises(ArchiveRefusedError) as caught:
            open_archive(site.spool / name, given)
        codes.append(caught.value.code)
    assert codes == ["password_required", "wrong_password", "encrypted_archive", "encrypted_archive"]
    (site.spool / "plain").write_bytes(openpgp.decrypted(site.spool / "gpg"))
    with open_archive(site.spool / "plain") as opened:
        assert opened.manifest["kind"] == "export"


def test_an_export_under_a_password_opens_with_plain_gpg(site: Site) -> None:
    path = site.spool / "export"
    archive.export(site.node, path, "password", "a password of mine")
    listing = subprocess.run(
        ["gpg", "--list-only", "--list-packets", str(path)], capture_output=True, check=False
    ).stdout.decode()
    assert re.search(r":symkey enc packet: version 4, cipher 9, .*s2k 3, hash 10", listing)
    plain = openpgp.gpg("--passphrase", "a password of mine", "--decrypt", str(path))
    assert plain[:3] == b"\x1f\x8b\x08"


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x1f\x8b\x08\x00" + bytes(60), b"\x1f\x8b\x08\x04" + bytes(70), b"\x85\x01"]
)
def test_other_files_are_no_backups(site: Site, content: bytes) -> None:
    path = site.spool / "other"
    path.write_bytes(content)
    with pytest.raises(ArchiveRefusedError) as caught:
        open_archive(path, "password")
    assert caught.value.code == "not_a_backup"


def test_commits_meanwhile_do_not_matter(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    write = container.write

    def slow(*arguments: Any) -> None:
        site.rig.committed((ZONE, "Asia/Tokyo"))
        write(*arguments)

    before = site.rig.number
    monkeypatch.setattr(container, "write", slow)
    made = prepare(site.node, site.spool, NOW)
    assert made.revision["number"] == before == site.rig.number - 1


def test_names() -> None:
    node = "46f97a58-4028-467d-9a22-9cfe78ae3e1c"
    name = names.archive_name(NOW, node, encrypted=True)
    assert name == "doorward-20261121T230002Z-46f97a58.config.gpg"
    assert names.parse(name) == names.Parsed(name, NOW, "46f97a58", encrypted=True)
    assert names.parse(name.removesuffix(".gpg")) == names.Parsed(name.removesuffix(".gpg"), NOW, "46f97a58", encrypted=False)
    for other in (name + ".manifest", "." + name, name.upper(), name.replace("1121", "1321"), name + "\n", "doorward.config"):
        assert names.parse(other) is None
    assert names.export_name("gate", NOW, "none") == "gate-20261121T2300.config"
    assert names.export_name("gate", NOW, "password") == "gate-20261121T2300.config-encrypted"
    assert names.export_name("gate", NOW, "gpg") == "gate-20261121T2300.config-gpg"


def test_switching_encryption_off_gives_an_archive_in_clear(site: Site) -> None:
    site.encrypted()
    site.rig.committed((ENCRYPTION, {"encryption": {"enabled": False}}))
    made = prepare(site.node, site.spool, NOW)
    assert (made.encrypted, made.name[-7:]) == (False, ".config")
    assert json.loads(made.manifest.read_bytes())["manifest"]["archive"]["recipients"] == []
    assert encrypting()
