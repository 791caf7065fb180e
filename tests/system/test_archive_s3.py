"""Recordings in a real SeaweedFS: sent in one request or in parts, read back, fetched, over connections that misbehave."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doorward.archiving.archiver import Archiver
from doorward.backup.targets.s3_objects import PART
from doorward.sessions.trails import TrailUnavailableError
from tests.support.recorded import key_of, shell, trail
from tests.system.backup_support import Proxy
from tests.system.seaweed_support import ACCOUNT, READER, READER_SECRET, SECRET, Seaweed
from tests.unit.archiving.parts import ArchivingSite

RECORDED = trail(shell(5))
LOCK = {"enabled": True, "mode": "compliance", "days": 2}


class Sites:
    """Makes nodes that archive to a prefix of their own."""

    def __init__(self, seaweed: Seaweed, directory: Path) -> None:
        self.seaweed, self._directory, self.made = seaweed, directory, list[ArchivingSite]()
        self.prefix = f"of/{re.sub('[^a-z0-9]', '-', directory.name)}"

    def __call__(self, *, bucket: str = "backups", port: int = 0, secret: str = SECRET, **place: Any) -> ArchivingSite:
        where = {
            "access_key_id": ACCOUNT, "bucket": bucket, "endpoint": f"https://127.0.0.1:{port or self.seaweed.port}",
            "prefix": self.prefix, **place,
        }  # fmt: skip
        directory = self._directory / f"node{len(self.made)}"
        directory.mkdir()
        site = ArchivingSite(directory, place=where, secret=secret, authority=self.seaweed.authority.pem)
        self.made.append(site)
        return site

    def object(self, number: int, bucket: str = "backups") -> str:
        """Where the trail of a session is."""
        return f"{bucket}/{self.prefix}/trails/SSH/linux/2026-11-29/{key_of(number)}.dwr"


@pytest.fixture
def sites(seaweed: Seaweed, tmp_path: Path) -> Iterator[Sites]:
    made = Sites(seaweed, tmp_path)
    yield made
    for site in made.made:
        site.close()


def trouble(archiver: Archiver) -> str:
    """The code of what is wrong with the policy."""
    [found] = archiver._policies.values()
    return found.code


def without_copy(site: ArchivingSite, number: int) -> None:
    """Take the copy on the node away."""
    (site.trails.directory / f"{key_of(number)}.dwr").unlink()


def test_small_and_large_recordings_go_there_and_come_back(sites: Sites) -> None:
    site = sites()
    large = random.Random(7).randbytes(PART + 12_345)  # noqa: S311 - only has to be the same at every run
    site.put(1, RECORDED)
    site.put(2, large)
    site.turn()
    assert [site.row(n).is_archived for n in (1, 2)] == [True, True]
    assert sites.seaweed.ask("GET", sites.object(2)).content == large
    for number in (1, 2):
        without_copy(site, number)
    with site.trails.reading(site.row(1)) as reader:
        assert reader.until == 5000
    with site.trails.open(site.row(2)) as file:
        assert hashlib.file_digest(file, "sha256").digest() == hashlib.sha256(large).digest()  # type: ignore[arg-type]
    site.clock.ahead(days=32)
    site.turn()
    assert site.told.alerts == [], "what is gone here already is no trouble"


def test_copies_go_while_the_bucket_shows_what_was_sent(sites: Sites) -> None:
    site = sites()
    site.put(1)
    site.put(2)
    site.turn()
    assert sites.seaweed.ask("PUT", sites.object(2), bytes(5_000_000)).is_success
    site.clock.ahead(days=32)
    site.turn()
    assert site.here == [2]
    assert [code for code, _ in site.told.alerts] == ["archive_changed"]
    without_copy(site, 2)
    with pytest.raises(TrailUnavailableError) as caught:
        site.trails.open(site.row(2))
    assert (caught.value.code, caught.value.is_lasting) == ("verify_failed", True)
    assert sites.seaweed.ask("DELETE", sites.object(1)).is_success
    with pytest.raises(TrailUnavailableError) as caught:
        site.trails.open(site.row(1))
    assert (caught.value.code, caught.value.is_lasting) == ("no_such_path", True)


def test_what_is_locked_can_not_be_deleted(sites: Sites) -> None:
    site = sites(bucket="locked", object_lock=LOCK)
    site.put(1)
    site.turn()
    assert site.row(1).is_archived
    shown = sites.seaweed.ask("HEAD", sites.object(1, "locked")).headers
    assert shown["x-amz-object-lock-mode"] == "COMPLIANCE"
    version = f"{sites.object(1, 'locked')}?versionId={shown['x-amz-version-id']}"
    assert sites.seaweed.ask("DELETE", version).status_code == 403


def test_a_bucket_that_can_not_lock_gets_nothing(sites: Sites) -> None:
    site = sites(object_lock=LOCK)
    site.put(1)
    site.turn()
    assert trouble(site.archiver) == "protocol_unavailable"
    assert sites.seaweed.names("backups", sites.prefix) == []


def test_a_name_that_is_taken_is_never_written_over(sites: Sites) -> None:
    for number, size in ((1, 10), (2, PART + 1)):
        assert sites.seaweed.ask("PUT", sites.object(number), b"of somebody else").is_success
        site = sites()
        site.put(number, bytes(size))
        site.turn()
        assert [code for code, _ in site.told.alerts] == ["name_exists"]
        assert sites.seaweed.ask("GET", sites.object(number)).content == b"of somebody else"


def test_the_account_is_refused(sites: Sites) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"secret": "wrong"}, "auth_failed"), ({"secret": READER_SECRET, "access_key_id": READER}, "permission_denied"),
        ({"bucket": "missing"}, "no_such_path"),
    ]  # fmt: skip
    for place, code in refused:
        site = sites(**place)
        site.put(1)
        site.turn()
        assert trouble(site.archiver) == code
        assert [told for told, _ in site.told.alerts] == [code]
        assert site.here == [1]


def test_a_connection_that_breaks_anywhere_leaves_nothing_half(sites: Sites) -> None:
    with Proxy(("127.0.0.1", sites.seaweed.port)) as proxy:
        site = sites(port=proxy.port)
        content = random.Random(7).randbytes(2 * PART + 1)  # noqa: S311
        site.put(1, content)
        proxy.cut_after = 200_000 + PART
        site.turn()
        assert trouble(site.archiver) == "connection_lost"
        assert sites.seaweed.ask("HEAD", sites.object(1)).status_code == 404
        proxy.cut_after = None
        site.archiver = site.begun()
        site.turn()
        assert site.row(1).is_archived
        assert "<UploadId>" not in sites.seaweed.ask("GET", f"backups?uploads&prefix={sites.prefix}").text
        without_copy(site, 1)
        proxy.cut_back_after = proxy.passed_back + PART
        with pytest.raises(TrailUnavailableError) as caught:
            site.trails.open(site.row(1))
        assert (caught.value.code, caught.value.is_lasting) == ("connection_lost", False)
        proxy.cut_back_after = None
        with site.trails.open(site.row(1)) as file:
            assert file.read() == content
