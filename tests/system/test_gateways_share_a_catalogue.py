"""Two gateways with one PostgreSQL for their sessions: each finds what the other recorded; the database goes and comes back.

By the command lines of ``docs/scaling.md``, but for their addresses, files and directories.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from doorward.cli.main import app
from tests.faults.checks import write_user
from tests.support.postgresql import Cluster
from tests.support.recorded import key_of
from tests.support.runner import CliRunner
from tests.support.server import PASSWORD, until
from tests.system.archived import archived
from tests.system.backup_support import open_directory
from tests.system.seaweed_support import Seaweed
from tests.system.served import Served, die, served
from tests.unit.cli.test_move_sessions import sessions_of_before

DATABASE = "shared"
OWNER = "guarded"
"""Whom the gateways log in as: a role with no right but to its database, and with a password."""
PAGE = (Path(__file__).parents[2] / "docs/scaling.md").read_text("utf-8")


@pytest.fixture
def postgresql() -> Iterator[Cluster]:
    """A cluster of its own, since it is stopped in the middle."""
    with open_directory("shared") as directory:
        made = Cluster(directory / "postgresql")
        made.make()
        with made.connect("postgres") as connection:
            connection.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{PASSWORD}'")
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
        try:
            yield made
        finally:
            with suppress(AssertionError):  # it may be stopped already
                made.stop()


def words(command: str, postgresql: Cluster, file: Path) -> list[str]:
    """Return what the page writes after a command, for this database, and a file with the password."""
    [line] = re.findall(rf"^(?:runuser -u doorward -- )?doorward {command} (.*)$", PAGE, re.MULTILINE)
    here = {
        "postgresql://doorward@db.example.com/doorward": f"postgresql:///{DATABASE}?host={postgresql.directory}&user={OWNER}",
        "/etc/doorward/catalogue-password": str(file),
    }
    found = line.replace("--host system ", "").split()
    assert set(here) < set(found)
    return [here.get(word, word) for word in found]


def password(file: Path, content: str = PASSWORD) -> Path:
    file.write_text(f"{content}\n")
    file.chmod(0o600)
    return file


@contextmanager
def gateway(postgresql: Cluster, home: Path) -> Iterator[Served]:
    home.mkdir()
    options = words("serve", postgresql, password(home / "catalogue-password"))
    with served(home / "state", home, options=tuple(options)) as found:
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


def test_sessions_of_before_are_moved_and_looked_at_with_the_password_of_the_file(postgresql: Cluster, tmp_path: Path) -> None:
    state = tmp_path / "state"
    sessions_of_before(state)

    def run(command: str, file: Path) -> tuple[int, str]:
        result = CliRunner().invoke(app, [command, "--state", str(state), *words(command, postgresql, file)])
        return result.exit_code, " ".join(result.output.split())

    code, told = run("move-sessions", password(tmp_path / "wrong", "what-nobody-set"))
    assert (code, f'password authentication failed for user "{OWNER}"' in told, "what-nobody-set" in told) == (1, True, False)
    right = password(tmp_path / "right")
    assert run("move-sessions", right) == (0, f"2 sessions were moved. The file is now {state / 'sessions-moved.db'}.")
    assert f"The trail of the session {key_of(2)} is missing." in run("verify", right)[1]
