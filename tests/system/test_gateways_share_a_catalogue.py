"""Two gateways with one PostgreSQL for their sessions: each finds what the other recorded; the database goes and comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.checks import write_user
from tests.support.postgresql import Cluster
from tests.support.server import PASSWORD, until
from tests.system.archived import archived
from tests.system.backup_support import open_directory
from tests.system.seaweed_support import Seaweed
from tests.system.served import Served, die, served

DATABASE = "shared"


@pytest.fixture
def postgresql() -> Iterator[Cluster]:
    """A cluster of its own, since it is stopped in the middle."""
    with open_directory("shared") as directory:
        made = Cluster(directory / "postgresql")
        made.make()
        with made.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        try:
            yield made
        finally:
            with suppress(AssertionError):  # it may be stopped already
                made.stop()


@contextmanager
def gateway(postgresql: Cluster, home: Path) -> Iterator[Served]:
    home.mkdir()
    address = f"postgresql:///{DATABASE}?host={postgresql.directory}&user=doorward"
    with served(home / "state", home, options=("--catalogue", address)) as found:
        yield found


def found_by(one: Served, words: str) -> list[str]:
    return [each["key"] for each in json.loads(one.cli.ok("sessions", "search", words, "--json"))]


def test_each_finds_what_the_other_recorded_and_has_it_from_the_bucket(
    postgresql: Cluster, seaweed: Seaweed, tmp_path: Path
) -> None:
    with gateway(postgresql, tmp_path / "one") as one, gateway(postgresql, tmp_path / "two") as two:
        assert one.ssh("echo of-$((40+2))").stdout == b"of-42\n"
        [key] = until(lambda: found_by(two, "of-42"), what="the session of the other gateway")
        assert found_by(one, "of-42") == [key]
        assert two.body(key) == one.body(key)
        one.cli.ok("sessions", "download", key, "--output", str(tmp_path / "trail.dwr"))
        refused = two.cli("sessions", "download", key, "--output", str(tmp_path / "other.dwr"))
        assert refused.code != 0
        assert not (tmp_path / "other.dwr").exists()
        postgresql.stop()
        assert two.ssh("echo never").stdout == b"", "no session without a row"
        until(lambda: "catalogue can't be written" in two.server.login().get("/api/health_status").text, what="word of it")
        postgresql.start()
        until(lambda: two.ssh("echo again-$((50+5))").stdout == b"again-55\n", what="sessions once the database is back")
        until(lambda: found_by(one, "again-55"), what="the session of the other gateway")
        archived(one, seaweed, "shared")
        until(lambda: one.body(key)["session"]["recording"]["archived"], what="the recording in the bucket")
        die(one)
        whole = (tmp_path / "trail.dwr").read_bytes()
        admin = two.server.login()
        unreachable = admin.get(f"/api/audit/sessions/{key}/audit_trail")
        assert (unreachable.status_code, unreachable.json()["error"]["details"]["code"]) == (409, "on_another_node")
        archived(two, seaweed, "shared")
        assert admin.get(f"/api/audit/sessions/{key}/audit_trail").content == whole
        assert b"of-42" in admin.get(f"/api/audit/sessions/{key}/replay").content
        noted = admin.get(f"/api/audit/sessions/{key}/trail_downloads").json()["items"]
        assert [note["what"] for note in noted] == ["audit_trail", "audit_trail", "replay"], "whoever had it, here or there"
        write_user(admin, 7)
        assert admin.commit().status_code == 200
        stranger = two.server.login("user7", f"{PASSWORD}-7")
        assert stranger.get(f"/api/audit/sessions/{key}/audit_trail").status_code == 403
