"""What the engine brings along: nothing that knows secrets or the configuration."""

from __future__ import annotations

import subprocess
import sys


def test_the_engine_knows_nothing_of_store_transaction_access_configuration_events_and_api() -> None:
    script = "import sys, doorward.proxy.ssh.protocols; print(*(name for name in sys.modules if name.startswith('doorward.')))"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    rooms = {name.split(".")[1] for name in found}
    assert rooms == {"proxy", "sessions", "tree"}
    assert {name for name in found if name.startswith("doorward.tree.")} == {"doorward.tree.expressions", "doorward.tree.times"}
    assert {name for name in found if name.startswith("doorward.sessions.")} == {
        "doorward.sessions.channels",
        "doorward.sessions.rules",
    }
