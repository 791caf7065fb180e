"""kill -9 in every phase of a backup run: no final name without a whole file, and the next start makes up for it."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, until
from tests.system.backup_site import RUNS, STATUS, Site, Storage, storage
from tests.system.backup_support import Proxy, address

LAUNCHER = (str(Path(__file__).with_name("backup_victim.py")),)
STEPS = ("after prepare", "after archive", "before manifest", "after manifest", "before save finished", "before clean_up")
"""In pairs: the run that makes up for a killed one is killed as well, the one after that is let go."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with storage(tmp_path_factory.mktemp("storage")) as made:
        yield made


class Victim:
    """A node whose process dies at chosen steps."""

    def __init__(self, directory: Path, kept: Storage) -> None:
        self.trap = directory / "trap"
        environment = {"NAMED_TRAP": str(self.trap), "HASTY": "doorward.backup.runner.MISSED_SECONDS=0.1"}
        self.server = Server(directory / "state", launcher=LAUNCHER, environment=environment).start()
        self.site = Site(self.server, kept)
        self.site.set_up(encrypted=False)

    def died(self) -> None:
        """Wait for the death, and clear away."""
        assert self.server.process
        until(lambda: self.server.process and self.server.process.poll() is not None, 30, "the death of the server")
        self.server.kill()

    def start(self) -> None:
        """Start again; what was killed is made up for."""
        self.server.start()
        self.site.admin = self.server.login()

    def made_up_for(self) -> None:
        """The newest run makes up for the last one, and succeeds."""
        newest = until(lambda: next((i for i in self.site.items(RUNS) if i["body"]["reason"] == "missed"), None))
        run = self.site.finished(newest["meta"]["href"])
        assert run["result"] == "succeeded", run
        assert self.site.admin.body(STATUS)["last_success"]["file"] == run["files"][0]["name"]
        assert list((self.server.state / "backup" / "spool").iterdir()) == []


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory, kept: Storage) -> Iterator[Victim]:
    made = Victim(tmp_path_factory.mktemp("victim"), kept)
    yield made
    made.server.stop()


def whole(kept: Storage) -> None:
    """Whatever has a final name is whole."""
    names = kept.names()
    for name in names:
        if name.endswith(".manifest"):
            manifest = json.loads((kept.config / name).read_bytes())["manifest"]["archive"]
            content = (kept.config / manifest["name"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == manifest["sha256"]
        elif not name.startswith("."):
            with tarfile.open(kept.config / name) as archive:
                assert all(archive.extractfile(member).read() is not None for member in archive)  # type: ignore[union-attr]


@pytest.mark.parametrize("steps", list(zip(STEPS[::2], STEPS[1::2], strict=True)))
def test_a_kill_leaves_nothing_half_and_is_made_up_for(victim: Victim, kept: Storage, steps: tuple[str, str]) -> None:
    first, second = steps
    victim.trap.write_text(first)
    victim.site.now()
    victim.died()
    whole(kept)
    victim.trap.write_text(second)
    victim.server.start(wait=False)
    victim.died()
    whole(kept)
    victim.start()
    victim.made_up_for()
    ended = [item["body"] for item in victim.site.items(f"{RUNS}?limit=3")]
    assert [(run["reason"], run["code"]) for run in ended] == [("missed", None), ("missed", "shutdown"), ("manual", "shutdown")]
    whole(kept)


def test_a_kill_in_the_middle_of_an_upload_leaves_nothing_half(victim: Victim, kept: Storage) -> None:
    body = victim.site.admin.body(f"/api/configuration/policies/backup_policies/{victim.site.policy}")["target"]
    target = {**body, "authentication_key": body["authentication_key"]["key"]}
    before = kept.names()
    with Proxy(("127.0.0.1", kept.sshd.port)) as proxy:
        victim.site.change(target={**target, "port": proxy.port, "server": address("127.0.0.1")})
        proxy.stall_after = proxy.passed + 10_000
        victim.site.now()
        until(lambda: proxy.stall_after is not None and proxy.passed > proxy.stall_after)
        victim.server.kill()
        whole(kept)
        proxy.stall_after = None
        victim.start()
        victim.made_up_for()
        whole(kept)
        victim.site.change(target=target)
    assert len(kept.names()) >= len(before) + 2
