"""Files that were made to do harm: nothing of them is unpacked, listed or believed further than it has to be."""

from __future__ import annotations

import hashlib
import tarfile
import tracemalloc
import zlib
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

import pytest

from doorward.backup import container
from doorward.backup.archive import build
from doorward.backup.content import HISTORY, MEMBERSHIP, RUNS, SECRETS, TREE
from doorward.backup.failure import BackupError
from doorward.backup.restore.checking import check
from doorward.backup.restore.opening import ArchiveRefusedError, open_archive, open_plain
from doorward.backup.restore.request import RestoreRequest
from doorward.host.drivers import gpg
from doorward.host.errors import HostError
from doorward.tree.jsontext import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.backup.parts import Site


def a_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


# Made when they are asked for, as the files below: they are large.
LARGE = 96 << 20
BOMBS: dict[str, Callable[[], tuple[bytes, int]]] = {
    "long file": lambda: (a_header("a", LARGE), LARGE),
    "long manifest": lambda: (a_header("MANIFEST.json", LARGE // 2), LARGE // 2),
    "long names": lambda: (a_header("././@LongLink", LARGE, tarfile.GNUTYPE_LONGNAME), LARGE),
    "attributes": lambda: (a_header("x", LARGE, tarfile.XHDTYPE), LARGE),
    "files": lambda: (b"".join(a_header(str(number), 0) for number in range(12_000)), 0),
    "link": lambda: (a_header("configuration/tree.json", 0, tarfile.SYMTYPE), 0),
    "holes": lambda: (a_header("configuration/tree.json", 0, tarfile.GNUTYPE_SPARSE), 0),
    "device": lambda: (a_header("configuration/tree.json", 0, tarfile.BLKTYPE), 0),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_no_archive_holds_is_not_unpacked(name: str) -> None:
    beginning, size = BOMBS[name]()
    with container.in_memory() as file:
        compressor = container._Compressor(file, 0)
        compressor.write(beginning)
        for _ in range(0, size, 1 << 20):
            compressor.write(bytes(1 << 20))
        compressor.write(bytes(1024))
        compressor.finish()
        tracemalloc.start()
        with pytest.raises(ArchiveRefusedError, match=r"more than an archive does|something that no archive holds") as refused:
            open_plain(file)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert refused.value.code == "damaged"
    assert used < LARGE // 8


def test_what_is_in_it_twice_is_not_chosen_from() -> None:
    with container.in_memory() as file:
        container.write([("MANIFEST.json", 2, iter([b"{}"])) for _ in range(2)], file, 0)
        with pytest.raises(ArchiveRefusedError, match=r"MANIFEST.json is in it twice") as refused:
            open_plain(file)
    assert refused.value.code == "damaged"


def test_what_gpg_gives_up_on_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "archive").write_bytes(b"\x8c\x0d")
    monkeypatch.setattr(gpg, "packets", lambda _path: gpg.Packets((), 1, other=False))

    def failing(*_: object) -> bool:
        raise HostError("the packets end too early")

    monkeypatch.setattr(gpg, "decrypt_with_password", failing)
    with pytest.raises(ArchiveRefusedError, match=r"can't be decrypted: the packets end too early") as refused:
        open_archive(tmp_path / "archive", "secret")
    assert refused.value.code == "damaged"


def signed(site: Site, changed: dict[str, bytes]) -> IO[bytes]:
    """An archive of a node with other files in it, rightly signed."""
    made = datetime(2026, 11, 21, 23, tzinfo=UTC)
    with build(site.node, "system", made) as built:
        files = {name: content.read() for name, _, content in container.members(built.file)}
    files |= changed
    del files["MANIFEST.sig"]
    manifest = decode(files.pop("MANIFEST.json"))
    manifest["files"] = [
        {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for path, data in sorted(files.items())
    ]
    inner = encode(manifest)
    first = {"MANIFEST.json": inner, "MANIFEST.sig": encode(site.node.signing.sign(inner))}
    file = container.in_memory()
    container.write(((path, len(data), iter([data])) for path, data in (first | files).items()), file, 0)
    return file


def many() -> bytes:
    return b"[" + b"{}," * 8_000_000 + b"{}]"


SMALL_AND_COSTLY: dict[str, Callable[[], dict[str, bytes]]] = {
    "many values": lambda: {TREE: many()},
    "many members": lambda: {TREE: b"{" + b",".join(b'"%d":0' % number for number in range(2_000_000)) + b"}"},
    "deep": lambda: {TREE: b"[" * 900_000 + b"]" * 900_000},
    "many secrets": lambda: {SECRETS["passwords"]: many()},
    "many runs": lambda: {RUNS: many()},
    "many members of a cluster": lambda: {MEMBERSHIP: many()},
    "a long line of history": lambda: {HISTORY: b" " * (48 << 20) + b"\n"},
    "a line of many values": lambda: {HISTORY: many() + b"\n"},
    "long texts": lambda: {TREE: b'{"a":"' + b" " * (16 << 20) + b'"}', MEMBERSHIP: b'{"a":"' + b" " * (17 << 20) + b'"}'},
}


@pytest.mark.parametrize("name", SMALL_AND_COSTLY)
def test_a_small_archive_does_not_cost_much_though_its_signature_is_right(name: str, site: Site, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    with signed(site, SMALL_AND_COSTLY[name]()) as file:
        path.write_bytes(file.read())
    assert path.stat().st_size < 6 << 20
    request = RestoreRequest("admin", "127.0.0.1", scope="system")
    tracemalloc.start()
    checked = check(site.node, request, path)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    checked.close()
    if "history" in name or "line" in name:  # which the node does not take over, and keeps aside line by line
        assert checked.opened is not None
        with open_archive(path) as opened, pytest.raises(ArchiveRefusedError, match="more than an archive does"):
            list(opened.lines(HISTORY))
    else:
        failed = checked.checks[-1]
        assert (failed["passed"], failed["code"]) == (False, "damaged")
        assert ("more than an archive does" in failed["message"]) == (name != "deep")
    assert used < 100 << 20


def test_what_holds_too_much_in_all_is_not_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with signed(site, {}) as file:
        monkeypatch.setattr(container, "MAX_CONTENT", 20)
        with pytest.raises(ArchiveRefusedError, match=r"something that no archive holds") as refused:
            open_plain(file)
    assert refused.value.code == "damaged"


def test_what_could_not_be_opened_again_is_not_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MAX_CONTENT", "MAX_HELD", "MAX_VALUES"):
        with monkeypatch.context() as patch:
            patch.setattr(container, limit, 20)
            with pytest.raises(BackupError) as caught:
                build(site.node, "system", datetime(2026, 11, 21, 23, tzinfo=UTC))
        assert caught.value.code == "too_large"


def test_a_list_of_packets_without_end_is_not_read(tmp_path: Path) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = b"\x01" + packed.compress(b"\xca\x03PGP" * 2_000_000) + packed.flush()
    path = tmp_path / "bomb"
    path.write_bytes(b"\xc8\xff" + len(body).to_bytes(4, "big") + body)
    tracemalloc.start()
    with pytest.raises(ArchiveRefusedError) as refused:
        open_archive(path, "some password or other")
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.code == "not_a_backup"
    assert used < 16 << 20
