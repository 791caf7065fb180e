"""Files that were made to do harm: nothing of them is unpacked, listed or believed further than it has to be."""

from __future__ import annotations

import tarfile
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest

from doorward.backup import container
from doorward.backup.opening import ArchiveRefused, open_archive, open_plain

if TYPE_CHECKING:
    from pathlib import Path


def a_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


LARGE = 96 << 20
BOMBS: dict[str, tuple[bytes, int]] = {
    "long file": (a_header("a", LARGE), LARGE),
    "long manifest": (a_header("MANIFEST.json", LARGE // 2), LARGE // 2),
    "long names": (a_header("././@LongLink", LARGE, tarfile.GNUTYPE_LONGNAME), LARGE),
    "attributes": (a_header("x", LARGE, tarfile.XHDTYPE), LARGE),
    "files": (b"".join(a_header(str(number), 0) for number in range(12_000)), 0),
    "link": (a_header("configuration/tree.json", 0, tarfile.SYMTYPE), 0),
    "holes": (a_header("configuration/tree.json", 0, tarfile.GNUTYPE_SPARSE), 0),
    "device": (a_header("configuration/tree.json", 0, tarfile.BLKTYPE), 0),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_no_archive_holds_is_not_unpacked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.backup.opening._MOST_HELD", LARGE // 2)
    beginning, size = BOMBS[name]
    with container.in_memory() as file:
        compressor = container._Compressor(file, 0)
        compressor.write(beginning)
        for _ in range(0, size, 1 << 20):
            compressor.write(bytes(1 << 20))
        compressor.write(bytes(1024))
        compressor.finish()
        tracemalloc.start()
        with pytest.raises(ArchiveRefused, match=r"more than an archive does|something that no archive holds") as refused:
            open_plain(file)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert refused.value.code == "damaged"
    assert used < LARGE // 8


def test_a_list_of_packets_without_end_is_not_read(tmp_path: Path) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = b"\x01" + packed.compress(b"\xca\x03PGP" * 2_000_000) + packed.flush()
    path = tmp_path / "bomb"
    path.write_bytes(b"\xc8\xff" + len(body).to_bytes(4, "big") + body)
    tracemalloc.start()
    with pytest.raises(ArchiveRefused) as refused:
        open_archive(path, "some password or other")
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.code == "not_a_backup"
    assert used < 16 << 20
