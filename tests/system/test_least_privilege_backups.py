"""Backups of a system host: the programs run as the account of the server, with no right that it has and no way to its state."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.support import openpgp
from tests.support.namespaces import apart, run
from tests.support.server import Server
from tests.system.backup_site import Site
from tests.system.backup_storages import storages
from tests.system.chrony_support import need_chrony
from tests.system.privileges import assert_unprivileged, watched_programs
from tests.system.test_network_system import ACCOUNTS, STATE, machine

FRONT = ACCOUNTS["doorward"]


def let_others_to(directory: Path) -> None:
    """Have other accounts get to a directory, in this name space: that of Python may lie in the home of root."""
    closed = next((above for above in reversed(directory.parents) if not above.stat().st_mode & 0o001), None)
    if closed is not None:
        kept = Path("/run/kept")
        kept.mkdir()
        run(f"mount --bind {directory} {kept}")
        run(f"mount -t tmpfs -o mode=755 none {closed}")
        directory.mkdir(parents=True)
        run(f"mount --move {kept} {directory}")


@apart
def test_backups_of_every_kind_leave_without_root(tmp_path: Path) -> None:
    need_chrony()
    machine(tmp_path)
    let_others_to(Path(sys.base_prefix))
    keys = tmp_path / "keys"
    keys.mkdir()
    with storages(keys) as kept, watched_programs("gpg", "rsync") as seen:
        server = Server(STATE, options=("--host", "system", "--listen", "192.0.2.5:443"), plain=True).start()
        try:
            for kind in ("rsync", "smb", "nfs"):
                site = Site(server, kept[kind])
                site.set_up(name=kind)
                done = site.back_up()
                assert (done["result"], done["code"]) == ("succeeded", None), done
                name = done["files"][0]["name"]
                assert site.storage.names() == [name, f"{name}.manifest"]
                assert openpgp.decrypted(site.storage.config / name).startswith(b"\x1f\x8b")
        finally:
            server.stop()
        # The test itself runs gpg too, to make keys and to look into what arrived.
        found = {name: [one for one in statuses if f"PPid:\t{os.getpid()}\n" not in one] for name, statuses in seen().items()}
        assert all(found[name] for name in ("gpg", "rsync"))
        for status in (one for statuses in found.values() for one in statuses):
            assert_unprivileged(status)
            assert f"Uid:\t{FRONT}\t{FRONT}\t{FRONT}\t{FRONT}\n" in status
    assert {path.stat().st_uid for path in STATE.rglob("*")} <= {FRONT}
