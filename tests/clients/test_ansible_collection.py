"""The collection for Ansible: built, installed, and run by a real ansible-playbook beside a real server; its page first."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import doorward
from tests.support.members import channel_port
from tests.support.server import PASSWORD, QUICK, Server, running, until
from tests.system.backup_site import Site, storage

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv/clients/bin"
COLLECTION = ROOT / "ansible_collections/doorward/appliance"
PAGE = (ROOT / "docs/ansible.md").read_text()
JANE = "another long enough password"
SERVERS = "/api/configuration/datetime/ntp_servers"
USERS = "/api/configuration/aaa/local_database/users"
WEB = "/api/configuration/management/webinterface"


@dataclass
class Ansible:
    """A directory with an inventory, in which commands run with the collection installed."""

    home: Path

    def run(self, program: str, *arguments: str, code: int = 0) -> str:
        """Run one of Ansible's programs; return what it prints."""
        assert BIN.is_dir(), "run scripts/clients, as make test does"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "DOORWARD_"))}
        own = {
            "ANSIBLE_COLLECTIONS_PATH": str(self.home / "collections"),
            "ANSIBLE_CONFIG": str(self.home / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.home / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
        }
        command = [str(BIN / program), *arguments]
        done = subprocess.run(
            command, env=kept | own, cwd=self.home, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def play(self, file: str, *arguments: str, code: int = 0) -> str:
        """Run a playbook against the server."""
        return self.run("ansible-playbook", "-i", "gates.ini", file, *arguments, code=code)

    def tasks(self, *tasks: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Run tasks of one playbook, whatever becomes of each; return their results."""
        steps: list[dict[str, Any]] = [
            {f"doorward.appliance.{module}": options, "register": f"r{number}", "ignore_errors": True}
            for number, (module, options) in enumerate(tasks)
        ]
        names = ", ".join(f"r{number}" for number in range(len(tasks)))
        steps.append({"copy": {"content": f"{{{{ [{names}] | to_json }}}}", "dest": str(self.home / "results")}})
        node = {"url": "{{ url }}", "ca": "{{ ca }}", "password": "{{ admin_password }}"}
        play = {
            "hosts": "gates",
            "gather_facts": False,
            "vars_files": "secrets.yml",
            "module_defaults": {"group/doorward.appliance.all": node},
            "tasks": steps,
        }
        (self.home / "tasks.yml").write_text(json.dumps([play]))
        self.play("tasks.yml")
        found: list[dict[str, Any]] = json.loads((self.home / "results").read_text())
        return found


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    """The collection, built and installed as the page says, without a network."""
    home = tmp_path_factory.mktemp("ansible")
    (home / "ansible.cfg").touch()
    made = Ansible(home)
    for line in re.findall(r"^ansible-galaxy (.*)$", PAGE, re.MULTILINE):
        words = line.replace("ansible_collections/doorward/appliance", str(COLLECTION)).split()
        [words[-1]] = [str(file) for file in home.glob(words[-1])] or [words[-1]]
        made.run("ansible-galaxy", *words)
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, ansible: Ansible) -> Iterator[Server]:
    """A server, with the files of the page beside it."""
    with running(
        tmp_path_factory.mktemp("gate") / "state", launcher=QUICK, options=("--cluster-port", channel_port())
    ) as started:
        replaced = {
            "https://gate.example.com": started.url,
            "/opt/doorward/.venv/bin/python": sys.executable,
            "/etc/doorward/ca.pem": str(started.certificate),
            "admin_password: a long enough password": f"admin_password: {PASSWORD}",
        }
        page = PAGE
        for old, new in replaced.items():
            assert old in page
            page = page.replace(old, new)
        files = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", page, re.DOTALL))
        files["gates.ini"] = page.partition("```ini\n")[2].partition("```")[0]
        assert files.keys() == {"site.yml", "secrets.yml", "backup.yml", "cluster.yml", "gates.ini"}
        for name, text in files.items():
            (ansible.home / name).write_text(text)
        yield started


def recap(said: str) -> dict[str, int]:
    """Return the numbers of the last line about a host."""
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", said.rpartition("PLAY RECAP")[2])}


def revision(server: Server) -> int:
    return int(server.login().get("/api/revisions?limit=1").json()["items"][0]["key"])


def test_every_module_is_described(ansible: Ansible) -> None:
    names = [f"doorward.appliance.{file.stem}" for file in (COLLECTION / "plugins/modules").glob("*.py")]
    described = json.loads(ansible.run("ansible-doc", "--json", *names))
    assert sorted(described) == sorted(names)
    for name in names:
        assert {"url", "password", "ca"} < described[name]["doc"]["options"].keys()
        assert described[name]["examples"]
        assert described[name]["return"]
    assert f"\nversion: {doorward.__version__}\n" in (COLLECTION / "galaxy.yml").read_text()


def test_the_page_is_checked_then_run_and_then_changes_nothing(ansible: Ansible, server: Server) -> None:
    admin, first = server.login(), revision(server)
    checked = ansible.play("site.yml", "--check", "--diff")
    assert recap(checked)["changed"] == 1
    assert "+  value: time2.example.com" in checked
    assert "On the host:" in checked
    assert revision(server) == first
    assert "time2.example.com" not in str(admin.body(SERVERS))

    done = ansible.play("site.yml", "-vvv")
    assert recap(done)["changed"] == 1
    assert [one["value"] for one in admin.body(SERVERS)] == ["time.example.com", "time2.example.com"]
    assert server.login("jane", JANE).get("/api/user/info").status_code == 200
    assert revision(server) == first + 1, "one commit"
    assert admin.get("/api/transaction").json()["meta"].get("confirm_remaining_seconds") is None

    again = ansible.play("site.yml", "-vvv")
    assert recap(again)["changed"] == 0
    assert revision(server) == first + 1
    for said in (checked, done, again):
        assert JANE not in said
        assert PASSWORD not in said


def test_faults_have_their_places_and_nothing_is_committed(ansible: Ansible, server: Server) -> None:
    before = revision(server)
    wrong = {"management/webinterface": {"timeout": 0}, "datetime/ntp_servers": [{"selection": "ip"}], "no/such": 1}
    places, login, backup = ansible.tasks(
        ("config", {"configuration": wrong}),
        ("config", {"absent": [], "password": "not this one at all"}),
        ("backup", {}),
    )
    assert {(fault["path"], fault["pointer"]) for fault in places["faults"]} == {
        (WEB, "/timeout"), (SERVERS, "/0/value"), ("/api/configuration/no", ""),
    }  # fmt: skip
    assert "management/webinterface /timeout: " in places["msg"]
    assert login["msg"].startswith("admin can't log in: ")
    assert all(result["failed"] for result in (places, login, backup))
    assert backup["faults"] or backup["error"]["type"], "no policy is selected"
    assert revision(server) == before


def test_objects_go_and_a_change_that_is_not_confirmed_goes_back(ansible: Ansible, server: Server) -> None:
    admin = server.login()
    answer = admin.post("/api/user/tokens", {"name": "ansible", "expires_days": 1, "rights": "own"})
    token = {"password": None, "token": answer.json()["body"]["token"]}
    # The same server, by a name that its certificate is not for.
    elsewhere = {"confirm_seconds": 30, "confirm_url": f"https://127.1:{server.port}"}
    made, gone, trial, facts = ansible.tasks(
        (
            "config",
            {"configuration": {"aaa/local_database/users/tom": {"password": {"from_secret": "t"}}}, "secrets": {"t": JANE}},
        ),
        ("config", {"absent": ["aaa/local_database/users/tom"], "message": "He left", "confirm_seconds": 600, **token}),
        ("config", {"configuration": {"management/webinterface": {"timeout": 33}}, **elsewhere}),
        ("facts", {"paths": ["datetime/timezone", "aaa/local_database/users"], **token}),
    )
    assert (made["changed"], gone["changed"]) == (True, True)
    assert made["revision"] + 1 == gone["revision"]
    assert admin.body(f"/api/revisions/{gone['revision']}")["commit_message"] == "He left"
    assert trial["failed"]
    assert "goes back by itself" in trial["msg"]
    assert "certificate is not trusted" in trial["msg"]
    known = facts["ansible_facts"]["doorward"]
    assert known["node"] == admin.get("/api/info").json()["meta"]["node"]
    assert known["revision"]["number"] == trial["revision"]
    assert "tom" not in [user["name"] for user in known["configuration"]["aaa/local_database/users"]]
    assert known["cluster"] is None
    server.end_trial()
    until(lambda: admin.body(WEB)["timeout"] != 33, what="that the trial is over")


def test_a_backup_is_proven(ansible: Ansible, server: Server, tmp_path: Path) -> None:
    with storage(tmp_path) as kept:
        Site(server, kept).set_up(encrypted=False, start_times=["01:30"])
        assert recap(ansible.play("backup.yml", "--check"))["changed"] == 1
        assert kept.names() == []
        said = ansible.play("backup.yml")
        [file, _manifest] = kept.names()
        assert file in said


def test_two_gates_become_a_cluster_once(ansible: Ansible, server: Server, tmp_path: Path) -> None:
    """The last of the tests: there is no way back from being Central Management."""
    options = ("--listen", "127.0.0.2:0", "--cluster-port", channel_port())
    with running(tmp_path / "state", launcher=QUICK, options=options) as other:
        gates = {"first": (server, "127.0.0.1"), "second": (other, "127.0.0.2")}
        lines = [
            f"{name} ansible_connection=local ansible_python_interpreter={sys.executable} url={gate.url} ca={gate.certificate}"
            f" cluster_address={address}"
            for name, (gate, address) in gates.items()
        ]
        (ansible.home / "two.ini").write_text("\n".join(["[gates]", *lines, ""]))
        checked = recap(ansible.run("ansible-playbook", "-i", "two.ini", "cluster.yml", "--check"))
        assert (checked["changed"], checked["failed"]) == (3, 0)
        assert "central-management" not in server.login().body("/api/info")["roles"]
        done = ansible.run("ansible-playbook", "-i", "two.ini", "cluster.yml", "-vvv")
        assert recap(done)["changed"] == 3
        rows = {row["body"]["address"]: row["body"]["roles"] for row in server.login().get("/api/cluster/nodes").json()["items"]}
        assert rows == {"127.0.0.1": ["central-management"], "127.0.0.2": ["managed-host", "search-local"]}
        assert other.login().body(SERVERS) == server.login().body(SERVERS), "it has what the first one has"
        assert re.search("[A-Za-z0-9]{64}", done) is None, "what a node is accepted by is not shown"
        before = revision(server), revision(other)
        assert recap(ansible.run("ansible-playbook", "-i", "two.ini", "cluster.yml"))["changed"] == 0
        assert (revision(server), revision(other)) == before
