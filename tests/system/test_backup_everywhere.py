"""Backups to every kind of target through the API of a real Doorward, and the way back to an empty machine.

``CELLS`` says which test looks at what fault of which target: there must be a clear error, an alert, and nothing lost.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from doorward.cli.verify import findings
from tests.support import openpgp
from tests.support.server import QUICK, Server, running, until
from tests.system.backup_site import BACKUP, ENCRYPTION, FILES, ROOT, RUNS, SELECTED, STATUS, Site
from tests.system.backup_storages import answering, storages
from tests.system.backup_support import prober
from tests.system.mail_server import MailServer
from tests.system.recovery_line import run_line

KINDS = ("nfs", "rsync", "s3", "smb")
ZONE = f"{ROOT}/datetime/timezone"
RESTORES = f"{BACKUP}/restores"
GONE = "doorward-20200101T000000Z-00000000.config"
OCTETS = {"Content-Type": "application/octet-stream"}

HERE, RUN = "system.test_backup_everywhere", "system.test_backup_run"
EACH = "system.test_backup_{kind}"
CELLS: dict[str, dict[str, str]] = {
    "told by status, alert and mail; the next run is clean": dict.fromkeys(KINDS, f"{HERE}:a_failure_is_told"),
    "server down": dict.fromkeys(KINDS, f"{HERE}:a_server_that_is_down"),
    "nobody there at all": dict.fromkeys(KINDS, f"{EACH}:nobody_listens"),
    "connection cut at a random byte": dict.fromkeys(KINDS, f"{EACH}:cut_anywhere"),
    "host key changed": {"rsync": f"{EACH}:the_host_key_is_another"},
    "key or password refused": {
        "rsync": f"{EACH}:the_key_is_refused", **dict.fromkeys(("s3", "smb"), f"{EACH}:the_login_is_refused"),
    },
    "directory cannot be written": dict.fromkeys(KINDS, f"{EACH}:the_directory_belongs"),
    "share or export cannot be written": {"nfs": f"{EACH}:an_export_that", "smb": f"{EACH}:a_share_that"},
    "certificate of somebody else": {"s3": f"{EACH}:a_certificate_of_somebody_else"},
    "sent elsewhere": {"s3": "unit.backup.targets.test_s3:no_redirect"},
    "share read-only; disk full on the target": {
        **dict.fromkeys(KINDS, f"{EACH}:the_disk_is_full_or_read_only"), "s3": "unit.backup.targets.test_s3:an_answer_tells",
    },
    "quota on the target": {kind: f"unit.backup.targets.test_{kind}:" for kind in KINDS},
    "disk full here": dict.fromkeys(KINDS, f"{HERE}:a_disk_that_is_full_here"),
    "server that stops": dict.fromkeys(KINDS, f"{EACH}:a_server_that_stops_moving"),
    "slow server": dict.fromkeys(KINDS, f"{EACH}:a_server_that_is_slow"),
    "half a file of an earlier run": dict.fromkeys(KINDS, f"{EACH}:what_an_earlier_try_left"),
    "name taken": dict.fromkeys(KINDS, f"{EACH}:a_taken_name"),
    "clock jump": dict.fromkeys(KINDS, "unit.backup.test_runner:a_clock_that_is_set_ahead"),
    "process killed": {
        "rsync": "faults.test_kill_backup:a_kill_in_the_middle_of_an_upload",
        **dict.fromkeys(("nfs", "s3", "smb"), f"{HERE}:a_server_that_is_killed"),
    },
    "process ended": dict.fromkeys(KINDS, f"{HERE}:a_server_that_is_told_to_end"),
    "files of somebody else": dict.fromkeys(KINDS, f"{EACH}:foreign_files"),
}  # fmt: skip
"""Fault, target, and the module with the beginning of the name of the test. What a target does not have is left out."""


@pytest.mark.parametrize(("cell", "kind"), [(cell, kind) for cell, found in CELLS.items() for kind in found])
def test_every_cell_of_the_matrix_has_its_test(cell: str, kind: str) -> None:
    module, _, name = CELLS[cell][kind].format(kind=kind).partition(":")
    there = importlib.import_module(f"tests.{module}")
    found = [*dir(there), *dir(getattr(there, "TestPromises", None))]  # what every target promises is a class
    assert any(one.startswith(f"test_{name}") for one in found)


@dataclass
class Lost:
    """What is left of a node: a backup that the key holder decrypted, and what has to come back."""

    plain: bytes = b""
    name: str = ""
    tree: bytes = b""
    history: list[Any] = field(default_factory=list)


@dataclass
class World:
    """A node that backs up to one server of each kind, one at a time."""

    server: Server
    mail: MailServer
    sites: dict[str, Site]
    lost: dict[str, Lost]
    plain: dict[str, str]
    """The name of a file in clear on each target."""
    signer: str
    """The key that the backups are signed with."""

    def site(self, kind: str, *, encrypted: bool = True) -> Site:
        """Back up to this kind from now on."""
        site = self.sites[kind]
        site.admin = self.server.login()
        site.admin.post("/api/transaction")
        site.write("PUT", SELECTED, {"backup_policy": site.policy})
        gpg = {"enabled": True, "gpg_public_key": {"public_key": openpgp.public_key("good")}}
        site.write("PUT", ENCRYPTION, {"encryption": gpg if encrypted else {"enabled": False}})
        site.commit()
        return site


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    limits = ("backup.runs.PAUSES=0.3,2,30", "backup.runner.MISSED_SECONDS=0.1", "events.alerts.HOLD_SECONDS=0.1")
    hasty = {"HASTY": " ".join(f"doorward.{limit}" for limit in limits)}
    state = tmp_path_factory.mktemp("node") / "state"
    with ExitStack() as stack:
        kept = stack.enter_context(storages(tmp_path_factory.mktemp("keys")))
        mail, server = stack.enter_context(MailServer()), stack.enter_context(running(state, launcher=QUICK, environment=hasty))
        sites = {kind: Site(server, kept[kind]) for kind in KINDS}
        for kind, site in sites.items():
            told = {"type": "errors-only", "send_filelist": False, "file_count_limit": 1}
            site.set_up(encrypted=False, mail=mail, name=kind, notification_event=told)
        keys = sites["nfs"].items(f"{BACKUP}/signing_keys")
        signer = next(item["key"] for item in keys if item["body"]["role"] == "current")
        yield World(server, mail, sites, {kind: Lost() for kind in KINDS}, {}, signer)


def tree_of(plain: bytes) -> bytes:
    """The configuration in an archive."""
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:gz") as archive:
        found = archive.extractfile("configuration/tree.json")
        assert found
        return found.read()


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_is_there_is_proven_and_can_be_read_by_the_key_holder(world: World, kind: str, tmp_path: Path) -> None:
    site = world.site(kind)
    run = site.back_up()
    assert (run["result"], run["code"], run["target"].partition(":")[0]) == ("succeeded", None, kind), run
    name = run["files"][0]["name"]
    assert site.storage.names() == [name, f"{name}.manifest"]
    before = site.storage.logins() if kind == "rsync" else 0
    [listed] = site.items(FILES)
    assert (listed["key"], listed["body"]["ours"], listed["body"]["signature"]) == (name, True, "valid")
    assert (listed["body"]["sha256"], listed["body"]["size"]) == (run["files"][0]["sha256"], run["files"][0]["size"])
    if kind == "rsync":
        assert site.storage.logins() - before <= 3, "a login, a list, all manifests"
    assert site.drill({"selection": "target", "value": None})["levels"]["stored"] == {"basis": "target", "passed": True}
    stored = tmp_path / "stored"
    stored.write_bytes(site.storage.content(name))
    assert site.admin.get(f"{FILES}/{name}/download").content == stored.read_bytes()
    plain = openpgp.decrypted(stored)
    history = site.items("/api/revisions?limit=500")
    world.lost[kind] = Lost(plain, name, tree_of(plain), [item["body"] for item in history])


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_backup_comes_back_from_the_target(world: World, kind: str) -> None:
    site = world.site(kind, encrypted=False)
    name = world.plain[kind] = site.back_up()["files"][0]["name"]
    site.admin.post("/api/transaction")
    site.write("PUT", ZONE, "Asia/Tokyo")
    site.commit()
    answer = site.admin.post(RESTORES, {"source": {"selection": "target", "value": name}})
    assert ended(world.server, answer)["result"] == "succeeded"
    assert world.server.login().body(ZONE) == "UTC"
    assert list((world.server.state / "backup").glob("*.fetched")) == []
    answer = world.server.login().post(RESTORES, {"source": {"selection": "target", "value": GONE}})
    restore = ended(world.server, answer)
    assert (restore["result"], restore["code"]) == ("failed", "no_such_path")


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_is_told_and_the_next_run_is_clean(world: World, kind: str) -> None:
    site = world.site(kind)
    before = site.storage.names()
    with site.storage.shut() as code:
        run = site.back_up()
        assert (run["result"], run["code"], len(run["attempts"])) == ("failed", code, 1), run
        if code == "auth_failed":  # what cannot be written can still be read
            restore = ended(world.server, site.admin.post(RESTORES, {"source": {"selection": "target", "value": GONE}}))
            assert (restore["result"], restore["code"]) == ("failed", code)
            site.admin = world.server.login()
            answer = site.admin.get(FILES)
            assert (answer.status_code, answer.json()["error"]["details"]["code"]) == (503, code)
    assert site.admin.body(STATUS)["last_failure"]["code"] == code
    texts = until(lambda: found if len(found := told(world.mail, run["message"])) > 1 else None, what="alert and mail")
    subjects = [mail.message["Subject"] for mail in texts]
    assert any("xcbBackupFailed" in subject for subject in subjects)
    assert any(f"Backup failed: {kind}" in subject for subject in subjects)
    assert site.storage.names() == before
    assert site.back_up()["result"] == "succeeded"


def told(mail: MailServer, words: str) -> list[Any]:
    """The mails that say something."""
    plain = " ".join(words.split())
    return [found for found in mail.mails if plain in " ".join(found.message.get_content().split())]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_down_is_waited_for(world: World, kind: str) -> None:
    site = world.site(kind)
    good = site.target()
    site.change(target={**good, **site.storage.aside()})
    path = site.now()
    until(lambda: site.admin.body(path)["attempts"], what="the first attempt")
    with answering(site.storage):
        run = site.finished(path)
        assert (run["result"], run["attempts"][0]["code"], run["attempts"][-1]["code"]) == ("succeeded", "connect", None), run
    assert run["files"][0]["name"] in site.storage.names()
    site.change(target=good)


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_is_full_here_is_waited_for(world: World, kind: str) -> None:
    site = world.site(kind)
    spool = world.server.state / "backup" / "spool"
    spool.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "small", str(spool)], check=True)
    try:
        path = site.now()
        [attempt] = until(lambda: site.admin.body(path)["attempts"], what="the first attempt")
    finally:
        subprocess.run(["umount", "--lazy", str(spool)], check=True)
    assert attempt["code"] == "no_local_space", attempt
    assert site.finished(path)["result"] == "succeeded"


def ends_while_it_uploads(world: World, kind: str, end: Callable[[], object]) -> None:
    """End the server in the middle of an upload: no final name appears, and the next start makes up for it."""
    site = world.site(kind)
    good, before = site.target(), site.storage.names()
    site.change(target={**good, **site.storage.aside()})
    with answering(site.storage) as proxy:
        proxy.stall_after = 12_000  # in the middle of the login, or of the file
        path = site.now()
        until(lambda: proxy.passed > 12_000, what="the middle of the upload")
        end()
    assert [name for name in site.storage.names() if name not in before and not name.startswith(".")] == []
    with answering(site.storage):
        world.server.start()
        site.admin = world.server.login()
        broken = site.admin.body(path)
        assert (broken["result"], broken["code"]) == ("cancelled", "shutdown")
        newest = until(lambda: next((item for item in site.items(f"{RUNS}?limit=1") if item["body"]["reason"] == "missed"), None))
        run = site.finished(newest["meta"]["href"])
        assert run["result"] == "succeeded", run
    site.change(target=good)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_told_to_end_leaves_its_backup_for_the_next_start(world: World, kind: str) -> None:
    def stop() -> None:
        began = time.monotonic()
        assert world.server.stop() == 0
        assert time.monotonic() - began < 60, "nobody waits for the target"

    ends_while_it_uploads(world, kind, stop)


@pytest.mark.parametrize("kind", ["nfs", "s3", "smb"])  # rsync: tests/faults/test_kill_backup.py
def test_a_server_that_is_killed_leaves_nothing_half(world: World, kind: str) -> None:
    ends_while_it_uploads(world, kind, world.server.kill)


@pytest.mark.parametrize("kind", ["rsync", "smb"])  # Ganesha takes its time to show what was changed behind its back
def test_what_a_killed_trial_left_goes_with_the_next_one(world: World, kind: str, tmp_path: Path) -> None:
    site = world.site(kind)
    with prober(world.server.state, tmp_path) as ours, prober(tmp_path, tmp_path) as theirs:
        left = [ours.new(), ours.new(), theirs.new()]
    for (name, content), hours in zip(left, (2, 0, 2), strict=True):
        file = site.storage.config / name
        file.write_bytes(content)
        shutil.chown(file, site.storage.config.stat().st_uid)
        os.utime(file, (time.time() - hours * 3600,) * 2)
    others = left[1:]
    tried = site.admin.post(f"{BACKUP}/target_tests", {"backup_policy": site.policy}).json()["body"]
    assert tried["code"] is None, tried
    assert [name for name in site.storage.names() if name.startswith(".doorward-probe-")] == sorted(name for name, _ in others)
    for name, _ in others:
        (site.storage.config / name).unlink()


def ended(machine: Server, begun: httpx2.Response, url: str = "") -> dict[str, Any]:
    """Wait for the end of a restore; its body. ``url``: where the machine is afterwards, with the accounts of the archive."""
    assert begun.status_code == 202, begun.text
    seen: dict[str, Any] = {}

    def over() -> bool:
        with suppress(httpx2.TransportError, AssertionError):
            answer = machine.login().get(begun.headers["location"])
            seen.update(answer.json().get("body", {}))
            return seen.get("result") is not None
        machine.url = url or machine.url
        return False

    until(over, 60, "the end of the restore")
    machine.url = url or machine.url  # the answer may be the last one from where it was
    return seen


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a machine to which nobody ever came."""
    state = tmp_path_factory.mktemp("untouched") / "state"
    with running(state):
        pass
    return state


@pytest.fixture
def machine(untouched: Path, tmp_path: Path) -> Iterator[Server]:
    """An empty machine."""
    shutil.copytree(untouched, tmp_path / "state", ignore=shutil.ignore_patterns("*.sock"))
    with running(tmp_path / "state") as made:
        yield made


def by_rest(machine: Server, lost: Lost, signer: str, url: str, _home: Path, _storage: Any) -> None:
    """Restore by an upload, network and all."""
    admin = machine.login()
    upload = admin.post("/api/upload/backup", content=lost.plain, headers=OCTETS).json()["key"]
    order = {"source": {"selection": "upload", "value": upload}, "scope": "system", "take_over": True, "network": "restore"}
    restore = ended(machine, admin.post(RESTORES, {**order, "accept_signer": signer}), url)
    assert restore["result"] == "succeeded", restore


def by_command(machine: Server, lost: Lost, signer: str, _url: str, home: Path, storage: Any) -> None:
    """Restore by the command line of ``docs/recovery.md``, word for word."""
    done = run_line(machine, lost.name, signer, home, storage)
    assert (done.returncode, "is in effect; all login sessions ended." in done.stdout) == (0, True), done
    assert not [file for file in home.rglob("*") if file.is_file() and file.read_bytes()[:2] == b"\x1f\x8b"], "none is in clear"


WAYS: dict[str, Callable[..., None]] = {"nfs": by_rest, "rsync": by_command, "s3": by_command, "smb": by_rest}


def comparable(tree: bytes, way: Callable[..., None]) -> Any:
    """What a restore brings of a tree: all of it; by command all but the network and the certificate of the node."""
    own = ("local_services/", "management/certificates", "network/", "x509") if way is by_command else ()
    return {path: body for path, body in json.loads(tree).items() if not path.removeprefix(f"{ROOT}/").startswith(own)}


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_machine_becomes_the_one_that_was_lost(world: World, machine: Server, tmp_path: Path, kind: str) -> None:
    lost = world.lost[kind]
    assert lost.plain, "the tests before made it"
    gone = world.server
    gone.stop()
    way = WAYS[kind]
    way(machine, lost, world.signer, gone.url, tmp_path, world.sites[kind].storage)
    admin = machine.login()
    export = admin.post(f"{BACKUP}/exports", {"encryption": {"selection": "none"}}).json()
    back = admin.get(f"{export['meta']['href']}/download").content
    assert comparable(tree_of(back), way) == comparable(lost.tree, way)
    history = [item["body"] for item in admin.get("/api/revisions?limit=500").json()["items"]]
    assert history[1:] == lost.history
    assert history[0]["commit_message"].startswith("restore of doorward-")
    machine.stop()
    assert findings(machine.state, "sandbox") == []
    machine.start()
    site = Site(machine, world.sites[kind].storage)
    [old] = [item["body"] for item in site.items(FILES) if item["key"] == lost.name]
    assert (old["ours"], old["signature"]) == (True, "valid"), "signed with a key that this node had formerly"
    assert site.back_up()["result"] == "succeeded"


def test_an_empty_machine_becomes_it_from_the_target(world: World, machine: Server) -> None:
    """With a policy there is a history already: that of the archive is kept aside."""
    world.server.stop()
    site = Site(machine, world.sites["nfs"].storage)
    site.set_up(encrypted=False, name="for-now")
    order = {"source": {"selection": "target", "value": world.plain["nfs"]}, "scope": "system", "take_over": True}
    refused = ended(machine, site.admin.post(RESTORES, order))
    assert (refused["result"], refused["code"]) == ("failed", "unknown_signer")
    restore = ended(machine, machine.login().post(RESTORES, {**order, "accept_signer": world.signer}))
    assert restore["result"] == "succeeded", restore
    assert {"history_aside", "restart_required"} <= {warning["code"] for warning in restore["warnings"]}
    admin = machine.login()
    policies = {item["body"]["name"] for item in admin.get(f"{ROOT}/policies/backup_policies").json()["items"]}
    assert policies == set(KINDS)
    assert len(list((machine.state / "backup").glob("history-*"))) == 1
    machine.stop()
    assert findings(machine.state, "sandbox") == []
    machine.start()
    site = Site(machine, world.sites["nfs"].storage)
    assert next(item["body"]["ours"] for item in site.items(FILES) if item["key"] == world.plain["nfs"])
