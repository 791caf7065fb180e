"""`doorward move-sessions`: once, out of a whole file, and told what came of it; `doorward verify` looks at what is there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from doorward.cli.main import app
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.catalogue.sqlite.tables import FILE, PURPOSE
from doorward.store.anchor import HistoryKey
from doorward.store.lock import locked
from doorward.transaction.startup import node_id
from tests.support.postgresql import Cluster, cluster
from tests.support.recorded import key_of, row, tell
from tests.support.runner import CliRunner
from tests.unit.transaction.rig import Rig


class Site(NamedTuple):
    """A state directory with two sessions, and an empty database."""

    state: Path
    cluster: Cluster
    database: str

    def run(self, command: str, *, port: str = "") -> tuple[int, str]:
        address = f"postgresql:///{self.database}?host={self.cluster.directory}&user=doorward{port}"
        result = CliRunner().invoke(app, [command, "--state", str(self.state), "--catalogue", address])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, " ".join(result.output.split())


def sessions_of_before(state: Path) -> None:
    """Make the state directory of a node with two sessions in its own file, the trail of the second one lost."""
    state.mkdir(mode=0o700)
    rig = Rig(state).started()
    node = node_id(rig.store)
    rig.close()
    catalogue = SqliteCatalogue(state / FILE, key=HistoryKey.at(state).derived(PURPOSE))
    tell(catalogue, row(1, node=node), row(2, node=node, trail="lost.dwr"))
    catalogue.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    state = tmp_path / "state"
    sessions_of_before(state)
    running = cluster()
    return Site(state, running, running.database())


def test_it_is_moved_once_and_looked_at_there(site: Site) -> None:
    kept = site.state / "sessions-moved.db"
    assert site.run("move-sessions") == (0, f"2 sessions were moved. The file is now {kept}.")
    assert not list(site.state.glob(f"{FILE}*"))
    assert kept.stat().st_mode & 0o777 == 0o600
    assert site.run("move-sessions") == (0, "There is nothing to move.")
    _, told = site.run("verify")
    assert f"The trail of the session {key_of(2)} is missing." in told
    assert key_of(1) not in told
    with site.cluster.connect(site.database) as connection:
        connection.execute("UPDATE sessions SET verdict = 'FAIL' WHERE number = 1")
    assert f"What is searched of the session {key_of(1)} is not what is kept of it: verdict." in site.run("verify")[1]
    with site.cluster.connect(site.database) as connection:
        connection.execute("DELETE FROM sessions WHERE number = 2")
    assert "Some sessions were taken out by somebody else: there are 1, not 2." in site.run("verify")[1]
    kept.rename(site.state / FILE)
    again = site.state / "sessions-moved.db"
    assert site.run("move-sessions") == (0, f"1 sessions were moved. 1 were there already. The file is now {again}.")


def test_what_was_changed_here_is_not_moved(site: Site) -> None:
    catalogue = SqliteCatalogue(site.state / FILE)  # without the key of the tally
    tell(catalogue, row(3))
    catalogue.close()
    code, told = site.run("move-sessions")
    assert code == 1
    assert "were put in by somebody else" in told
    assert (site.state / FILE).exists()


def test_a_server_that_runs_and_a_database_that_is_away_are_told(site: Site) -> None:
    with locked(site.state):
        code, told = site.run("move-sessions")
    assert (code, "Another server" in told) == (1, True)
    code, told = site.run("move-sessions", port="&port=1")
    assert (code, "What was moved so far stays; begin again." in told) == (1, True)
    assert "can't be looked at" in site.run("verify", port="&port=1")[1]
    assert site.run("move-sessions")[0] == 0
