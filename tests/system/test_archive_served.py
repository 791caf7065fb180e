"""A session through a gateway whose recordings go to a bucket: gone from the node, fetched, opened with no server."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.server import until
from tests.system.archived import archived
from tests.system.seaweed_support import Seaweed
from tests.system.served import served


def test_a_recording_leaves_the_node_and_comes_back(tmp_path: Path, seaweed: Seaweed) -> None:
    state = tmp_path / "state"
    with served(state, tmp_path) as site:
        archived(site, seaweed)
        assert site.ssh("echo archived-$((6*7))").returncode == 0
        key = site.last()
        recording = until(
            lambda: (found := site.body(key)["session"]["recording"])["archived"] and found, what="the recording in the archive"
        )
        assert recording["archive"]["policy"] == "recordings"
        assert recording["archive"]["server"].endswith("/backups")
        path = recording["archive"]["path"]
        assert path.startswith("served/trails/20")
        here = state / "trails" / f"{key}.dwr"
        sent = here.read_bytes()
        assert seaweed.ask("GET", f"backups/{path}").content == sent
        here.unlink()

        fetched = tmp_path / "fetched.dwr"
        site.cli.ok("sessions", "download", key, "-o", str(fetched))
        assert fetched.read_bytes() == sent
        admin = site.server.login()
        whole = admin.get(f"/api/audit/sessions/{key}/audit_trail")
        assert whole.content == sent
        part = admin.get(f"/api/audit/sessions/{key}/audit_trail", headers={"Range": "bytes=4-9"})
        assert (part.status_code, part.content) == (206, sent[4:10])
        assert b"archived-42" in admin.get(f"/api/audit/sessions/{key}/replay?channel=1").content
        index = admin.get(f"/api/audit/sessions/{key}/segments?channel=1").json()
        assert "archived-42" in json.dumps(admin.get(index["segments"][0]["url"]).json())
        noted = admin.get(f"/api/audit/sessions/{key}/trail_downloads").json()["items"]
        assert [one["what"] for one in noted] == ["audit_trail", "audit_trail", "audit_trail", "replay", "replay"]

        with site.cli.on_terminal("sessions", "replay", key) as player:
            player.awaits("archived-42")
        opened = tmp_path / "object.dwr"
        opened.write_bytes(seaweed.ask("GET", f"backups/{path}").content)
        assert "archived-42" in site.cli.ok("trail", "text", str(opened))
        site.cli.ok("trail", "verify", str(opened))

        for copy in (state / "trails-fetched").iterdir():
            copy.unlink()
        assert seaweed.ask("PUT", f"backups/{path}", sent[:-1] + bytes([sent[-1] ^ 1])).is_success
        refused = admin.get(f"/api/audit/sessions/{key}/audit_trail")
        assert (refused.status_code, refused.json()["error"]["details"]["code"]) == (409, "archived_trail_changed")
        refusal = site.cli("sessions", "download", key, "-o", str(tmp_path / "changed.dwr"))
        assert (refusal.code, "is not what was sent there" in refusal.err) == (1, True)
        assert seaweed.ask("DELETE", f"backups/{path}").is_success
        refused = admin.get(f"/api/audit/sessions/{key}/segments")
        assert (refused.status_code, refused.json()["error"]["details"]["code"]) == (409, "archived_trail_missing")
