"""What has to hold after every fault: one whole configuration, and host, history and records agree with it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2

from doorward.cli.verify import findings
from doorward.configuration.datetime.ntp_servers import NODE, sources
from doorward.configuration.network._addresses import addresses_in
from doorward.configuration.network._nics import NIC
from doorward.host.drivers.chrony_conf import SOURCES
from doorward.host.drivers.networkd import network_path
from doorward.host.sandbox import run_directory
from doorward.host.supervise import find_program
from tests.support.ports import free_port
from tests.support.server import PASSWORD, Client, until
from tests.support.waiting import PATIENCE

CONFIGURATION = "/api/configuration"
NTP = f"{CONFIGURATION}/datetime/ntp_servers"
ZONE = f"{CONFIGURATION}/datetime/timezone"
WEB = f"{CONFIGURATION}/management/webinterface"
ADMIN_WEB = f"{CONFIGURATION}/local_services/admin_web"
NIC1 = f"{CONFIGURATION}/network/nics/nic1"
NAMING = f"{CONFIGURATION}/network/naming"
USERS = f"{CONFIGURATION}/aaa/local_database/users"
PASSWORDS = f"{CONFIGURATION}/passwords"

ZONES = ("America/New_York", "Asia/Kathmandu", "Europe/Budapest", "Australia/Adelaide", "Etc/UTC")

Seen = dict[str, Any]


def accepted(answer: httpx2.Response) -> httpx2.Response:
    """The answer, which is no refusal."""
    assert answer.is_success, answer.text
    return answer


def refused(answer: httpx2.Response) -> bool:
    """The commit was refused in the shape of the contract. Whether the host is as before."""
    assert answer.status_code == 500, answer.text
    error = answer.json()["error"]
    assert set(answer.json()) == {"error", "meta"}
    assert set(error) == {"details", "message", "type"}
    assert error["type"] == "ApplyFailed"
    details = error["details"]
    assert set(details) == {"action", "commit", "error_id", "path", "reason", "restored"}
    assert details["error_id"] == answer.headers["x-request-id"]
    assert details["commit"].startswith("/api/commits/")
    assert details["reason"]
    restored: bool = details["restored"]
    return restored


def look(client: Client) -> Seen:
    """Everything that the commits here touch, as the caller sees it."""
    seen: Seen = {path: client.body(path) for path in (NTP, ZONE, WEB, ADMIN_WEB, NIC1, NAMING)}
    seen[USERS] = {item["key"]: item["body"] for item in accepted(client.get(USERS)).json()["items"]}
    return seen


def check(client: Client, state: Path, allowed: Sequence[Seen] | None, where: str, *, unknown: int = 0) -> None:
    """The running configuration is one of the allowed ones, if they are told, and everything else agrees with it.

    ``unknown``: how many commits could not put the host back.
    """
    seen = look(client)
    assert allowed is None or seen in allowed, where
    check_host(client, state, seen, where)
    transaction = accepted(client.get("/api/transaction")).json()
    assert transaction["body"]["status"] == "closed", where
    until(lambda: issues(client) == {"errors": [], "warnings": []}, 5, f"{where}: nothing is wrong")
    found = findings(state, "sandbox")
    assert found == [], f"{where}: {found}"
    check_records(client, "confirm_remaining_seconds" in transaction["meta"], where, unknown=unknown)


def issues(client: Client) -> dict[str, list[dict[str, Any]]]:
    """What is wrong by the health page; its warnings may be two seconds old."""
    found: dict[str, list[dict[str, Any]]] = accepted(client.get("/api/health_status")).json()["health_status"]["issues"]
    return found


def check_host(client: Client, state: Path, seen: Seen, where: str) -> None:
    """Files, link, chronyd's own list and the status page are as the configuration says."""
    root, names = state / "root", {server["value"] for server in seen[NTP]}
    assert (root / SOURCES.lstrip("/")).read_text() == sources(NODE.parse(seen[NTP])), where
    assert str((root / "etc/localtime").readlink()) == f"/usr/share/zoneinfo/{seen[ZONE]}", where
    assert (root / "etc/timezone").read_text() == f"{seen[ZONE]}\n", where
    check_network(state, seen, where)
    assert listed(state) == names, where
    assert not list(root.rglob(".doorward-*")), where
    until(lambda: told(client) == (seen[ZONE], {(name, "configuration") for name in names}), 5, f"{where}: the status is as set")


def check_network(state: Path, seen: Seen, where: str) -> None:
    """What was taken over is as the configuration says, and nothing else was touched."""
    root, kept = state / "root", state / "managed.json"
    managed = json.loads(kept.read_text()) if kept.exists() else []
    file = root / network_path("sandbox0").lstrip("/")
    assert file.exists() == (NIC1 in managed), where
    if file.exists():
        found = [line.removeprefix("Address=") for line in file.read_text().splitlines() if line.startswith("Address=")]
        assert found == [str(address) for _, address in addresses_in("nic1", NIC[0].parse(seen[NIC1]))], where
    assert (root / "etc/hostname").exists() == (NAMING in managed), where
    if NAMING in managed:
        name = seen[NAMING]["hostname"]
        assert (root / "etc/hostname").read_text() == f"{name}\n", where
        assert (root / "etc/hosts").read_text() == f"127.0.1.1\t{name}.{seen[NAMING]['domainname']} {name}\n", where


def told(client: Client) -> tuple[str, set[tuple[str, str]]]:
    """Time zone and sources by the status page, which may be a second old."""
    status = client.body("/api/time_status")
    return status["timezone"]["name"], {(source["value"], source["origin"]) for source in status["sources"]}


def check_records(client: Client, pending: bool, where: str, *, unknown: int = 0) -> None:
    """Every commit has ended, with an error or a revision, and the newest revision is the one of a commit."""
    records = [item["body"] for item in accepted(client.get("/api/commits")).json()["items"]]
    newest = int(accepted(client.get("/api/revisions?limit=1")).json()["items"][0]["key"])
    for record in records:
        assert record["state"] in {"awaiting_confirmation", "done", "reverted", "unknown"}, where
        assert record["finished"], where
        assert (record["error"] is None) == (record["revision"] is not None), where
        assert record["error"] is None or record["error"]["restored"] == (record["state"] == "reverted"), where
    assert [record["state"] for record in records].count("unknown") == unknown, where
    assert max((record["revision"] or 1 for record in records), default=1) == newest, where
    assert [record["revision"] for record in records if record["state"] == "awaiting_confirmation"] == [newest] * pending, where


def listed(state: Path) -> set[str]:
    """What the running chronyd of a state directory names as its sources."""
    program = find_program("chronyc")
    assert program, "chrony is not installed"
    command = [program, "-h", str(run_directory(state) / "chronyd.sock"), "-N", "-c", "sources", "-a"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=True, env={**os.environ, "LC_ALL": "C"}
    )
    return {line.split(",")[2] for line in done.stdout.splitlines()}


def servers(number: int) -> list[dict[str, str]]:
    """A list of time servers that no other number gives; none of them exists."""
    address = f"127.77.{number // 250}.{number % 250 + 1}"
    return [{"selection": "ip", "value": address}, {"selection": "fqdn", "value": f"time{number}.invalid"}]


def write_servers(client: Client, number: int) -> None:
    """Other time servers: a file, a reload, a read-back."""
    accepted(client.put(NTP, servers(number)))


def write_zone(client: Client, number: int) -> None:
    """Another time zone: a link, a file, a proof."""
    now = client.body(ZONE)
    others = [zone for zone in ZONES if zone != now]
    accepted(client.put(ZONE, others[number % len(others)]))


def write_web(client: Client, number: int) -> None:
    """Something that only the store holds."""
    accepted(client.put(WEB, {"timeout": number % 1000 + 10}))


def write_user(client: Client, number: int) -> None:
    """An account with a password."""
    key = accepted(client.post(PASSWORDS, {"plain": f"{PASSWORD}-{number}"})).json()["key"]
    accepted(client.post(USERS, {"name": f"user{number}", "password": key}))


def write_listener(client: Client, _number: int) -> None:
    """Another port for the listener of the API."""
    body = client.body(ADMIN_WEB)
    body["listen"][0]["https_port"] = free_port()
    accepted(client.put(ADMIN_WEB, body))


def write_network(client: Client, number: int) -> None:
    """Another second address and another name: files, a socket, a note of what was taken over."""
    body = client.body(NIC1)
    [interface] = body["interfaces"]["@order"]
    addresses = body["interfaces"][interface]["addresses"]
    addresses["@order"] = [addresses["@order"][0], "second"]
    addresses["second"] = f"127.88.0.{number % 250 + 1}/8"
    accepted(client.put(NIC1, body))
    accepted(client.put(NAMING, {"hostname": f"node{number}", "domainname": "example.com"}))


def write_everything(client: Client, number: int) -> None:
    """All of it in one commit."""
    for write in (write_servers, write_zone, write_web, write_user):
        write(client, number)


def write_previous(client: Client, _number: int) -> None:
    """What ran before the running revision."""
    previous = accepted(client.get("/api/revisions?limit=2")).json()["items"][1]["key"]
    accepted(client.post(f"/api/revisions/{previous}/restore"))
