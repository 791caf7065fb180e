"""The command line finds the node of its machine, proves who answers, and carries settings, secrets and whole nodes elsewhere."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from doorward.backup.archive import prepare
from doorward.cli.state import LocalNode
from tests.support.server import PASSWORD, Server, running
from tests.system.command_line import CommandLine
from tests.unit.backup.parts import Site
from tests.unit.transaction.rig import ADMIN_PASSWORD, ZONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT = "management/webinterface.timeout"
USERS = "aaa/local_database/users"
JANE = "Corr3ct-horse-battery"


@pytest.fixture
def cli(server: Server, tmp_path: Path) -> CommandLine:
    return CommandLine(server, tmp_path)


class Bare(CommandLine):
    """A user who has set up nothing."""

    def environment(self, **more: str) -> dict[str, str]:
        given = {"DOORWARD_URL", "DOORWARD_CA", "DOORWARD_PASSWORD"} - more.keys()
        return {name: value for name, value in super().environment(**more).items() if name not in given}


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Bare]:
    """A user beside the node that was just started, on some port."""
    state = tmp_path / ".local" / "state" / "doorward"
    with running(state, environment={"HOME": str(tmp_path), "DOORWARD_ADMIN_PASSWORD": ""}) as server:
        yield Bare(server, tmp_path)


# Which node, and who answers


def test_nothing_has_to_be_set_up_beside_a_node_that_runs(local: Bare) -> None:
    address = local.server.state / "address"
    assert address.read_text() == f"{local.server.url}\n"
    assert local.installed("get", TIMEOUT).out == "10\n"
    assert f"{local.server.url}, as admin" in local.installed("status").out
    local.server.stop()
    assert not address.exists()
    gone = local("get", TIMEOUT)
    assert (gone.code, "https://127.0.0.1:8443 does not answer" in gone.err) == (3, True)


def test_the_node_of_the_system_is_found_beside_a_sandbox_that_was(local: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root on the machine of `serve --host system`: address, certificate and first password come from its state directory."""
    home = local.home / "root"
    shutil.copytree(local.server.state, home / ".local/state/doorward", ignore=shutil.ignore_patterns("*.sock", "run", "lock"))
    monkeypatch.setattr("doorward.cli.state.SYSTEM", local.server.state)
    (home / ".local/state/doorward/initial-admin-password").write_text("of the sandbox\n")
    root = Bare(local.server, home)
    assert root("get", TIMEOUT).out == "10\n"
    assert f"{local.server.url}, as admin" in root("status").out


def test_the_address_follows_the_listeners(local: Bare) -> None:
    with running(local.home / "other") as other:  # takes a port that nobody has afterwards
        port = other.port
    body = f"local_services/admin_web.listen.0.https_port {port}"
    done = local("set", *body.split())
    assert done.code == 0, done
    assert (local.server.state / "address").read_text() == f"https://127.0.0.1:{port}\n"
    assert local("get", TIMEOUT).out == "10\n"


def test_a_node_is_named_by_its_state_directory(server: Server, local: Bare) -> None:
    password = {"DOORWARD_PASSWORD": PASSWORD}
    assert f"{server.url}, as admin" in local("status", "--state", str(server.state), **password).out
    assert f"{server.url}, as admin" in local("--state", str(server.state), "status", **password).out
    assert f"{server.url}, as admin" in local("status", DOORWARD_STATE=str(server.state), **password).out
    flag = local("status", "--state", str(server.state), DOORWARD_URL="https://127.0.0.1:1", DOORWARD_CA="/missing", **password)
    assert (flag.code, flag.err) == (0, "")
    none = local("status", "--state", str(local.home / "none"))
    assert (none.code, none.err) == (3, f"--state: no server runs in {local.home}/none that this user may talk to.\n")


def test_a_state_directory_of_another_user_is_not_believed(tmp_path: Path) -> None:
    """It would say whom to send the password to."""
    assert LocalNode(tmp_path).trusted
    os.chown(tmp_path, 4711, -1)
    assert not LocalNode(tmp_path).trusted
    os.chown(tmp_path, os.geteuid(), -1)


def test_a_server_is_known_by_another_name_or_by_its_key(cli: CommandLine) -> None:
    key = re.search(r"^Key: +(\S+)$", cli.ok("status"), re.MULTILINE)
    assert key is not None
    pin = key[1]
    wrong = cli("get", TIMEOUT, DOORWARD_CA="/etc/ssl/certs/ca-certificates.crt")
    assert (wrong.code, f"give --pin {pin}" in wrong.err, "--server-name" in wrong.err) == (3, True, True), wrong.err
    assert cli.ok("get", TIMEOUT, "--pin", pin, DOORWARD_CA="/missing")
    assert cli.ok("get", TIMEOUT, DOORWARD_PIN=pin, DOORWARD_CA="/missing")
    other = pin[:-6] + ("AAAAA=" if pin[-6:] != "AAAAA=" else "BBBBB=")
    refused = cli("get", TIMEOUT, "--pin", other)
    assert (refused.code, "not the pinned one" in refused.err, PASSWORD in refused.err) == (3, True, False), refused.err
    assert cli.ok("get", TIMEOUT, "--server-name", "localhost")
    named = cli("get", TIMEOUT, "--server-name", "door.example.com")
    assert (named.code, "certificate is not trusted" in named.err) == (3, True)


# Passwords and other secrets


def test_a_password_is_changed_for_oneself_and_for_others(local: Bare) -> None:
    assert local("add", USERS, f"{{name: jane, password: {{plain: {JANE}}}}}").code == 0
    jane = ("--user", "jane")
    assert local("get", TIMEOUT, *jane, DOORWARD_PASSWORD=JANE).code == 1, "logged in, without rights"
    assert local("passwd", "jane", "--new-password-file", "-", stdin="An0ther-horse-battery\n").code == 0
    assert local("get", TIMEOUT, *jane, DOORWARD_PASSWORD=JANE).code == 3
    assert local("get", TIMEOUT, *jane, DOORWARD_PASSWORD="An0ther-horse-battery").code == 1
    weak = local("passwd", "--new-password-file", "-", stdin="short\n")
    assert (weak.code, "/api/user/password /new: " in weak.err) == (1, True), weak
    nobody = local("passwd", "bob", "--new-password-file", "-", stdin="x\n")
    assert (nobody.code, nobody.err) == (2, "There is no account bob.\n")
    first = local.server.state / "initial-admin-password"
    done = local("passwd", "--new-password-file", "-", stdin="My-0wn-horse-battery\n")
    assert (done.code, first.exists()) == (0, False), done
    assert local("get", TIMEOUT, DOORWARD_PASSWORD="My-0wn-horse-battery").out == "10\n"


def test_a_new_password_is_asked_for_until_it_is_taken(local: Bare) -> None:
    with local.on_terminal("passwd") as terminal:
        terminal.answers("New password of admin: ", "short")
        terminal.answers("Once more: ", "short")
        terminal.awaits("/api/user/password /new: ")
        terminal.answers("New password of admin: ", "My-0wn-horse-battery")
        terminal.answers("Once more: ", "My-0wn-horse-battery")
        done = terminal.ended()
    assert (done.code, "My-0wn" in done.out) == (0, False), done.out
    assert local("get", TIMEOUT, DOORWARD_PASSWORD="My-0wn-horse-battery").out == "10\n"


def test_secrets_stand_where_references_do(cli: CommandLine) -> None:
    cli.ok("add", USERS, "{name: rosa, password: {from_env: ROSA}}", ROSA=JANE)
    assert cli("get", TIMEOUT, "--user", "rosa", DOORWARD_PASSWORD=JANE).code == 1
    (cli.home / "pw").write_text("Fr0m-a-file-this-time\n")
    cli.ok("set", f"{USERS}/rosa.password", "{from_file: pw}")
    assert cli("get", TIMEOUT, "--user", "rosa", DOORWARD_PASSWORD="Fr0m-a-file-this-time").code == 1
    shown = cli.ok("set", f"{USERS}/rosa", "{name: rosa, password: {plain: Pl4in-on-the-line}}")
    assert "Pl4in" not in shown
    assert cli("get", TIMEOUT, "--user", "rosa", DOORWARD_PASSWORD="Pl4in-on-the-line").code == 1
    wrong = cli("set", f"{USERS}/rosa.password", "{plain: a, from_env: B}")
    assert (wrong.code, wrong.err) == (2, "VALUE /password: Exactly one source must be given.\n")
    unset = cli("set", f"{USERS}/rosa.password", "{from_env: NOT_SET}")
    assert (unset.code, unset.err) == (2, "VALUE /password: The environment has no NOT_SET.\n")


@pytest.mark.parametrize("text", ["#2 in the cellar", "123", "yes", "a: b", "[x", "'quoted", "2026-01-01", "- x"])
def test_text_is_text_where_text_goes(cli: CommandLine, text: str) -> None:
    cli.ok("set", "network/naming.nickname", "--", text)
    assert cli.server.login().body("/api/configuration/network/naming")["nickname"] == text


def test_json_is_json_where_text_goes(cli: CommandLine) -> None:
    cli.ok("set", "network/naming.nickname", '"in \\"quotes\\""')
    assert cli.server.login().body("/api/configuration/network/naming")["nickname"] == 'in "quotes"'
    cli.ok("set", "network/naming.nickname", "null")
    assert cli.server.login().body("/api/configuration/network/naming")["nickname"] is None


# Settings of one node on another


DESCRIBED = """\
configuration:
  aaa:
    local_database:
      users:
        tom: {password: {from_env: TOM}}
  management:
    webinterface: {timeout: 33}
    email:
      admin_address: admin@example.com
      smtp_server: {selection: ip, value: 127.0.0.9}
      smtp_encryption:
        selection: tls
        server_certificate_check:
          enabled: true
          server_certificate_ca: {from_file: ca.pem}
"""


def test_what_get_prints_is_applied_here_and_elsewhere(cli: CommandLine, tmp_path: Path) -> None:
    cli.ok("rollback", "1")  # what other tests left
    (tmp_path / "ca.pem").write_text(cli.server.certificate.read_text())
    (tmp_path / "site.yaml").write_text(DESCRIBED)
    cli.ok("apply", "site.yaml", TOM=JANE)
    text = cli.ok("get")
    assert "password:\n            from_env: AAA_LOCAL_DATABASE_USERS_TOM_PASSWORD\n" in text
    assert "BEGIN CERTIFICATE" in text
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text.replace(re.findall(r"^node: (.*)$", text, re.MULTILINE)[0], ""))
    (tmp_path / "all.yaml").write_text(text)
    assert cli.ok("apply", "all.yaml") == "Nothing to change.\n"
    assert cli.ok("apply", "all.yaml", "--prune") == "Nothing to change.\n"
    with running(tmp_path / "second" / "state") as other:
        second = CommandLine(other, tmp_path)
        lacking = second("apply", "all.yaml")
        assert (lacking.code, "The environment has no AAA_LOCAL_DATABASE_USERS_TOM_PASSWORD." in lacking.err) == (1, True), (
            lacking
        )
        done = second("apply", "all.yaml", AAA_LOCAL_DATABASE_USERS_TOM_PASSWORD=JANE)
        assert done.code == 0, done
        assert "Left out, since it belongs to the other node" in done.err
        assert "network/nics/nic1" in done.err
        assert second("get", TIMEOUT, "--user", "tom", DOORWARD_PASSWORD=JANE).code == 1, "logged in, without rights"
        assert second.ok("get", TIMEOUT) == "33\n"
        assert second.ok("apply", "all.yaml") == "Nothing to change.\n"


# A machine in place of another one


@pytest.fixture
def system_archive(tmp_path: Path) -> tuple[Path, str]:
    """A system backup of a machine that is gone, and who signed it. Its certificate is for 127.0.0.1."""
    site = Site(tmp_path / "gone")
    site.rig.committed((ZONE, "Europe/Budapest"))
    (file := tmp_path / "archive").write_bytes(prepare(site.node, site.spool).archive.read_bytes())
    fingerprint = site.node.signing.fingerprint
    site.rig.close()
    return file, fingerprint


@pytest.mark.parametrize("new_certificate", [False, True], ids=["the certificate of the archive", "a new certificate"])
def test_a_take_over_ends_with_its_result(tmp_path: Path, system_archive: tuple[Path, str], new_certificate: bool) -> None:
    """The archive brings other accounts, another authority, a certificate for another address; the answer comes all the same."""
    file, fingerprint = system_archive
    first = "another password of 5"
    with running(
        tmp_path / "new" / "state", options=("--listen", "127.0.0.22:0"), environment={"DOORWARD_ADMIN_PASSWORD": first}
    ) as new:
        # As from another machine, which knows of the certificates only what it was told before.
        (tmp_path / "ca.pem").write_text(new.certificate.read_text())
        user = CommandLine(new, tmp_path, {"DOORWARD_PASSWORD": first, "DOORWARD_CA": str(tmp_path / "ca.pem")})
        words = ["restore", "--scope", "system", "--take-over", "--accept-signer", fingerprint, str(file)]
        done = user(*words, *(["--new-certificate"] if new_certificate else []))
        assert (done.code, "is in effect; all login sessions ended." in done.out) == (0, True), done
        assert ("its certificate is not for this address" in done.out) is not new_certificate
        after = CommandLine(new, tmp_path, {"DOORWARD_PASSWORD": ADMIN_PASSWORD, "DOORWARD_CA": str(new.certificate)})
        plain = after("get", "datetime/timezone")
        if new_certificate:  # signed by the authority of the archive
            assert plain.out == "Europe/Budapest\n", plain
        else:
            assert (plain.code, "--server-name" in plain.err) == (3, True), plain
            assert after.ok("get", "datetime/timezone", "--server-name", "127.0.0.1") == "Europe/Budapest\n"
