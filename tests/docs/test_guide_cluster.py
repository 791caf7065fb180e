"""The section of the guide on clusters does what it says: three servers, and its commands pasted into a shell."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

from tests.docs.guide import blocks, pasted
from tests.support.server import QUICK, Server, until

HASTY = "doorward.cluster.statuses.OFFLINE_SECONDS=1.5 doorward.cluster.follower.REPORT_SECONDS=0.3"
SERVE = re.compile(r"DOORWARD_ADMIN_PASSWORD=(\S+) doorward serve --state ~/(\S+) --listen (\S+)\n")


def test_three_nodes_on_one_machine_do_what_is_promised(tmp_path: Path) -> None:
    *serving, begin, change, again = blocks("A cluster", "sh")
    with ExitStack() as stack:
        servers = []
        for line in serving:
            password, state, listen = SERVE.fullmatch(line).groups()  # type: ignore[union-attr]
            (tmp_path / state).parent.mkdir(exist_ok=True)
            environment = {"DOORWARD_ADMIN_PASSWORD": password, "HASTY": HASTY}
            servers.append(Server(tmp_path / state, QUICK, environment, ("--listen", listen)).start())
            stack.callback(servers[-1].stop)
        shorthand = begin.partition("on 11 ")[0]

        def said(commands: str) -> str:
            done = pasted(commands, tmp_path)
            assert done.returncode == 0, done.stderr
            return done.stdout

        def status() -> str:
            return said(f"{shorthand}on 11 cluster status")

        assert "managed-host, search-local" in said(begin)
        until(lambda: status().count("up-to-date") == 2, 30, "both")
        assert "127.0.0.99" in said(f"{shorthand}on 12 get datetime/ntp_servers")
        servers[2].stop()
        shown = said(shorthand + change)
        assert "Revision" in shown
        until(lambda: "Europe/Budapest" in said(f"{shorthand}on 12 get datetime/timezone"), 30, "that it is in effect")
        until(lambda: re.search(r"offline +pending", status()), 30, "that it is missed")
        assert status().count("up-to-date") == 1
        servers[2].start()
        until(lambda: status().count("up-to-date") == 2, 30, "that it is back")
        assert "Europe/Budapest" in said(shorthand + again)
