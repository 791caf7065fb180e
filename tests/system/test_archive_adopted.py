"""The recordings of a gateway that is gone with its disk, found, proven and replayed on Central Management.

By the command lines of ``docs/scaling.md``.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from doorward.sessions.catalogue.rows import ACCEPT, SessionEnd
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.faults.checks import write_user
from tests.support.members import Member, members
from tests.support.recorded import key_of, put_trail, row, shell, tell, trail
from tests.support.server import PASSWORD, until
from tests.system.command_line import CommandLine
from tests.system.seaweed_support import ACCOUNT, SECRET, Seaweed
from tests.unit.configuration.ssh.checks import connection

SESSIONS = "/api/audit/sessions"
CONFIGURATION = "/api/configuration"
POLICY = "recordings"
PAGE = (Path(__file__).parents[2] / "docs/scaling.md").read_text("utf-8")
KEPT = trail(shell(3))
END = SessionEnd(at=57_000, verdict=ACCEPT, reason="", trail_bytes=len(KEPT))


def made(central: Member, path: str, body: dict[str, Any]) -> str:
    return str(central.ok("POST", f"{CONFIGURATION}/{path}", body)["key"])


def archived(central: Member, seaweed: Seaweed) -> str:
    """Have the recordings of one connection policy archived; return its key."""
    target = {
        "type": "s3", "endpoint": seaweed.endpoint, "bucket": "backups", "prefix": "adopted", "access_key_id": ACCOUNT,
        "secret_access_key": made(central, "passwords", {"plain": SECRET}),
        "server_certificate_ca": made(central, "x509", {"certificate": seaweed.authority.pem, "private_key": None}),
    }  # fmt: skip
    body = {"name": POLICY, "retention_days": 14, "start_times": ["03:30"], "target": target, "include_node_id_in_path": True}
    archive = made(central, "policies/archive_cleanup_policies", body)
    key = made(central, "ssh/connections", connection(at={"policies/archive_cleanup_policy": archive}))
    central.commit()
    return key


def names(seaweed: Seaweed, below: str) -> list[str]:
    return [name for name in seaweed.names("backups", "adopted/") if f"/{below}/" in f"/{name}"]


def _said(line: str, gateway: Member) -> list[str]:
    """Return a line of the page, about a gateway."""
    return [{"ID": gateway.id, "POLICY": POLICY}.get(word, word) for word in line.split()]


def test_what_a_lost_gateway_archived_is_had_through_central_management(seaweed: Seaweed, tmp_path: Path) -> None:
    with members(tmp_path / "cluster", 2) as (central, gateway):
        gateway.join(central, "managed-host")
        policy = archived(central, seaweed)
        central.settled(gateway)
        catalogue = SqliteCatalogue(gateway.state / "sessions.db")
        told = row(1, node=gateway.id, policy_key=policy, trail=put_trail(gateway.state / "trails", key_of(1), KEPT))
        tell(catalogue, told, commands=("ls -l /secret",), end=END)
        catalogue.close()
        until(lambda: names(seaweed, "sessions"), what="the record beside the recording")
        gateway.server.kill()
        shutil.rmtree(gateway.state)

        cli = CommandLine(central.server, tmp_path)
        state = ["--state", str(central.state)]
        shown = re.findall(r"^doorward (cluster remove .*)\ndoorward (adopt-sessions .*)$", PAGE, re.MULTILINE)
        [(remove, adopt)] = [[_said(line, gateway) for line in lines] for lines in shown]
        adopt += state
        cli.ok(*remove)
        assert cli.ok(*adopt) == "1 sessions were taken over.\n"
        assert cli.ok(*adopt) == "0 sessions were taken over. 1 were there already.\n"

        [found] = central.shown(f"{SESSIONS}?q=user.name:jane&content=secret&fields=node_id")["items"]
        assert (found["key"], found["body"]["node_id"]) == (key_of(1), gateway.id)
        recording = central.body(f"{SESSIONS}/{key_of(1)}")["recording"]
        assert (recording["archived"], recording["archive"]["policy"]) == (True, POLICY)
        path = f"{SESSIONS}/{key_of(1)}"
        until(lambda: central.send("GET", f"{path}/audit_trail").content == KEPT, what="the recording")
        (tmp_path / "had.dwr").write_bytes(central.send("GET", f"{path}/audit_trail").content)
        cli.ok("trail", "verify", str(tmp_path / "had.dwr"))
        assert "second 2" in central.send("GET", f"{path}/replay").text
        cli.ok("verify", *state)

        write_user(central.client, 7)
        central.commit()
        stranger = central.server.login("user7", f"{PASSWORD}-7")
        assert stranger.get(f"{path}/audit_trail").status_code == 403
