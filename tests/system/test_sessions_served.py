"""Sessions from the first command on: ``doorward serve`` and ``quickstart``, a real sshd, real ssh and scp, the command line."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.server import until
from tests.system.command_line import SECONDS
from tests.system.mail_server import MailServer
from tests.system.served import PASSWORD, Served, left_behind, served
from tests.system.sshd_support import ACCOUNT, Sshd, key_pair


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("served")
    state = directory / "state"
    with served(state, directory) as found:
        yield found
    assert left_behind(state) == []


@contextmanager
def second(site: Served) -> Iterator[Sshd]:
    """Another target."""
    sshd = Sshd(site.sshd.directory.parent / "second", [], password=PASSWORD)
    try:
        yield sshd.start()
    finally:
        sshd.stop()


def test_the_first_session_takes_one_command(site: Served) -> None:
    [trusted] = json.loads(site.cli.ok("host-keys", "list", f"127.0.0.1:{site.sshd.port}", "--json"))
    assert trusted["public_key"] == site.sshd.host_key
    assert f"  {trusted['fingerprint']} (ssh-ed25519)" in site.started
    assert site.started.count("Revision 2 is in effect.") == 1
    assert f"ssh -p {site.port} {site.login}@127.0.0.1\n" in site.started
    done = site.ssh("echo first-$((6*7)); exit 3")
    assert (done.stdout, done.returncode) == (b"first-42\n", 3), done.stderr
    shown = (site.cli.home / "known_hosts").read_text()
    (site.cli.home / "gateway.pub").write_text(shown.partition(" ")[2])
    seen = subprocess.run(["ssh-keygen", "-lf", site.cli.home / "gateway.pub"], capture_output=True, text=True, check=True)
    assert seen.stdout.split()[1] in site.started
    found = until(lambda: json.loads(site.cli.ok("sessions", "search", "first-42", "--json")), what="the word")
    assert found[0]["recording"]["connection_policy"] == "quickstart"
    assert PASSWORD not in (site.server.state / "trails" / f"{found[0]['key']}.dwr").read_bytes().decode("latin-1")


def test_nothing_is_trusted_where_the_commit_fails(site: Served) -> None:
    assert site.refused.code == 1
    assert "--port takes another one" in site.refused.err
    assert site.trusted_then == "No host key is trusted.\n"


def test_a_second_time_changes_nothing_and_a_second_server_is_added(site: Served) -> None:
    again = site.cli.ok("quickstart", "ssh", site.login)
    assert "are trusted already" in again
    assert "Revision" not in again
    refused = site.cli("quickstart", "ssh", "--yes", f"{ACCOUNT}@127.0.0.1:{free_port()}")
    assert refused.code == 1, refused
    with second(site) as other:
        site.cli.ok("quickstart", "ssh", "--yes", f"{ACCOUNT}@127.0.0.1:{other.port}")
        done = site.ssh("-l", f"{ACCOUNT}@127.0.0.1:{other.port}", "echo other")
    assert done.stdout == b"other\n", done.stderr
    policy = json.loads(site.cli.ok("get", "ssh/connections/quickstart", "--json"))
    assert [one["port"] for one in policy["server_address"]["domains"]] == [site.sshd.port, other.port]
    site.cli.ok("host-keys", "remove", f"127.0.0.1:{other.port}")


def test_nothing_is_done_without_consent(site: Served) -> None:
    key = f"ssh-ed25519-127.0.0.1:{site.sshd.port}"
    site.cli.ok("host-keys", "remove", key)
    refused = site.cli("quickstart", "ssh", site.login)
    assert (refused.code, "give --yes" in refused.err) == (2, True)
    assert site.cli.ok("host-keys", "list") == "No host key is trusted.\n"
    done = site.ssh("true")
    assert done.returncode == 255
    with site.cli.on_terminal("quickstart", "ssh", site.login) as asked:
        asked.answers("Are these the keys of the server, and shall it be so? [y/N]", "y")
        asked.awaits("doorward sessions follow SESSION")
    assert key in site.cli.ok("host-keys", "list")
    assert site.ssh("true").returncode == 0


def test_another_key_than_the_trusted_one_is_not_taken(site: Served, tmp_path: Path) -> None:
    server = f"127.0.0.1:{site.sshd.port}"
    other = key_pair(tmp_path, "other")[1]
    site.cli.ok("host-keys", "remove", server)
    site.cli.ok("host-keys", "add", server, other)
    refused = site.cli("quickstart", "ssh", "--yes", site.login)
    assert refused.code == 1
    assert "Somebody may be in between" in refused.err
    assert site.cli("host-keys", "add", "--yes", server).code == 1
    done = site.ssh("true")
    assert done.returncode == 255
    site.cli.ok("host-keys", "remove", server)
    assert re.search(r"^ssh-ed25519-\S+ is trusted\.$", site.cli.ok("host-keys", "add", "--yes", server), re.MULTILINE)
    assert site.cli.ok("host-keys", "scan", server).split()[1:3] == site.sshd.host_key.split()


def test_files_pass_and_are_told_of(site: Served) -> None:
    (site.cli.home / "report.txt").write_text("quarterly\n")
    done = subprocess.run(
        [*site.command("scp"), site.cli.home / "report.txt", "127.0.0.1:copied.txt"],
        env=site.environment(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (site.home / "copied.txt").read_text() == "quarterly\n"
    [found] = until(lambda: json.loads(site.cli.ok("sessions", "search", "copied.txt", "--json")), what="the file")
    assert ("file", "upload copied.txt") in [(hit["type"], hit["content"]) for hit in found["hits"]]


def test_what_the_policy_does_not_let_through_is_refused(site: Served) -> None:
    done = site.ssh("-W", f"127.0.0.1:{site.sshd.port}")
    assert done.returncode != 0
    assert b"SSH-2.0" not in done.stdout


def test_a_session_is_followed_held_let_go_and_ended(site: Served) -> None:
    with site.terminal() as user:
        key = site.only()
        user.types("printf '\\033c'; echo wiped-$((4+4))")
        user.awaits("wiped-8")

        def is_clear() -> bool:
            """Whether a viewer sees the screen alone; the recorder may be a moment behind the terminal of the user."""
            with site.follow(key) as late:
                late.awaits("wiped-8")
                return "here-42" not in late.shown

        until(is_clear, what="a viewer who sees nothing of what was wiped")
        with ExitStack() as stack:
            tries = 1
            while "here-42" not in (watcher := stack.enter_context(site.follow(key, "--from", "0"))).awaits("wiped-8"):
                tries += 1  # a disk that is seconds behind costs the detail, by design
            user.types("echo seen-$((50+5))")
            user.awaits("seen-55")
            watcher.awaits("seen-55")
            user.types("printf 'a\\342\\200\\250line-%s\\n' $((60+6))")  # U+2028 is no end of a line of JSON
            watcher.awaits("line-66")
            site.cli.ok("sessions", "lock", key)
            user.types("touch held-back")
            assert site.ssh("ls").returncode == 0
            assert not (site.home / "held-back").exists()
            site.cli.ok("sessions", "unlock", key)
            until((site.home / "held-back").exists, what="what was held")
            site.cli.ok("sessions", "terminate", key, "-m", "enough for today")
            assert "enough for today" in user.ended().out
            assert watcher.ended().code == 0
    until(lambda: site.live() == [], what="the end")
    found = site.cli.ok("sessions", "search", "seen-55")
    assert key in found
    with site.cli.on_terminal("sessions", "replay", key, "--max-pause", "0.1") as replayed:
        assert "seen-55" in replayed.ended().out
    site.cli.ok("sessions", "download", key)
    assert "seen-55" in site.cli.ok("trail", "text", f"{key}.dwr")
    assert site.cli("sessions", "download", key).code == 1
    assert len(site.body(key)["trail_downloads"]) == tries + 2  # followed from the beginning, replayed, downloaded


def test_alerts_of_sessions_come_by_mail(site: Served) -> None:
    alerts, email = "/api/configuration/alerting/traffic_alerts", "/api/configuration/management/email"
    admin = site.server.login()
    chosen = admin.body(alerts)
    with MailServer() as mail:
        server = {"selection": "ip", "value": "127.0.0.1"}
        for path, body in (
            (email, {"admin_address": "admin@example.com", "smtp_port": mail.port, "smtp_server": server}),
            (alerts, {name: {**way, "email": name == "channel_denied"} for name, way in chosen.items()}),
        ):
            assert admin.put(path, body).status_code == 200
        assert admin.commit().status_code == 200
        assert site.ssh("-W", "127.0.0.1:1").returncode == 255
        [told] = until(lambda: [one.message for one in mail.mails if "Channel" in one.message["Subject"]], what="the mail")
        content = told.get_content()
        for path, body in ((alerts, chosen), (email, {})):
            assert admin.put(path, body).status_code == 200
        assert admin.commit().status_code == 200
    assert "local-forwards" in content
    assert "quickstart" in content
    assert site.body(site.last())["session"]["recording"]["session_id"] in content
    assert PASSWORD not in content


def test_a_session_goes_on_while_the_server_is_dead(site: Served) -> None:
    with site.terminal() as user:
        key = site.only()
        site.server.kill()
        user.types("echo alone-$((30+3))")
        user.awaits("alone-33")
        site.server.start()
        assert site.only() == key
        site.cli.ok("sessions", "lock", key)
        site.cli.ok("sessions", "unlock", key)
        user.types("exit")
        assert user.ended().code == 0
    until(lambda: site.live() == [], what="the end")
    until(lambda: key in site.cli.ok("sessions", "search", "alone-33"), what="the word")


def test_a_commit_that_takes_the_policy_away_ends_its_sessions(site: Served) -> None:
    with site.terminal() as user:
        key = site.only()
        site.cli.ok("set", "ssh/connections/quickstart.active", "false")
        assert user.ended().code != 0
    until(lambda: site.live() == [], what="the end")
    assert site.body(key)["session"]["active"] is False
    assert site.ssh("true").returncode == 255
    site.cli.ok("set", "ssh/connections/quickstart.active", "true")
    assert site.ssh("true").returncode == 0


def test_workers_end_when_they_are_told(site: Served) -> None:
    assert left_behind(site.server.state)
    with site.terminal() as user:
        done = site.cli.installed("workers", "--stop", "--state", str(site.server.state))
        assert done.code == 0, done
        assert user.process.wait(SECONDS) != 0
    assert left_behind(site.server.state) == []
