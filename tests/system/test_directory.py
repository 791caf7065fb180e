"""Who is it? A real slapd is asked, and servers that mean no good."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from doorward.access import directory, directory_tunnel
from doorward.access.directory import Directory, DirectoryError, DirectoryUser
from doorward.configuration.policies.ldap_servers import LdapServers
from tests.support.pki import Authority
from tests.system.slapd_support import ALICE_PASSWORD, BASE, BINDER, BINDER_PASSWORD, Slapd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AUTHORITY = Authority()
ALICE = DirectoryUser("alice", f"uid=alice,ou=people,{BASE}", ("dba",))
CHECKED = {"enabled": True, "server_certificate_ca": None}
POSIX = {
    "selection": "posix", "username_attribute": "uid", "memberof_check": {"enabled": False},
    "membership_check": {"enabled": True, "member_uid_attribute": "memberUid"},
}  # fmt: skip


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    made = Slapd(tmp_path_factory.mktemp("slapd") / "ldap", AUTHORITY).start()
    yield made
    made.stop()


def asked(*ports: int, authority: str | None = AUTHORITY.pem, password: str = BINDER_PASSWORD, **changes: Any) -> Directory:
    body = {
        "name": "people",
        "servers": [{"host": {"selection": "ip", "value": "127.0.0.1"}, "port": port} for port in ports],
        "encryption": {"selection": "starttls", "server_certificate_check": CHECKED},
        "bind_dn": BINDER,
        "bind_password": "key",
        "user_base_dn": f"ou=people,{BASE}",
        "group_base_dn": f"ou=groups,{BASE}",
        "schema": POSIX,
        **changes,
    }
    return Directory(LdapServers.model_validate(body), lambda: password, authority)


def asked_by(slapd: Slapd, way: str, **changes: Any) -> Directory:
    encryption: dict[str, Any] = {"selection": way}
    if way != "disabled":
        encryption["server_certificate_check"] = CHECKED
    return asked(slapd.tls_port if way == "ldaps" else slapd.port, encryption=encryption, **changes)


@pytest.mark.parametrize("way", ["starttls", "ldaps", "disabled"])
def test_who_can_bind_is_who_it_says(slapd: Slapd, way: str) -> None:
    known = asked_by(slapd, way)
    assert known.authenticate("alice", ALICE_PASSWORD) == ALICE
    assert known.authenticate("alice", "wrong") is None
    assert known.authenticate("alice", "") is None, "a bind without a password succeeds for anybody"
    assert known.authenticate("nobody", ALICE_PASSWORD) is None
    assert known.find("alice") == ALICE
    assert known.probe().startswith("127.0.0.1:")


@pytest.mark.parametrize("name", ["*", "alice)(uid=*", "al*", "a\x00lice", "", "x" * 1000])
def test_a_name_is_a_name_and_no_filter(slapd: Slapd, name: str) -> None:
    assert asked_by(slapd, "disabled").find(name) is None


def test_groups_by_the_name_of_the_entry(slapd: Slapd) -> None:
    schema = {**POSIX, "membership_check": {"enabled": True, "member_uid_attribute": "member"}}
    found = asked_by(slapd, "starttls", schema=schema).find("alice")
    assert found is not None
    assert found.groups == ("night shift",)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("tls", {"authority": Authority("Somebody else").pem}),
        ("tls", {"authority": None}),
        ("bind", {"password": "not the binder's"}),
    ],
    ids=["other authority", "system authorities", "wrong bind password"],
)
def test_a_directory_that_is_not_right_is_no_answer(slapd: Slapd, code: str, changes: dict[str, Any]) -> None:
    with pytest.raises(DirectoryError) as caught:
        asked_by(slapd, "starttls", **changes).authenticate("alice", ALICE_PASSWORD)
    assert caught.value.code == code
    assert BINDER_PASSWORD not in str(caught.value)
    assert ALICE_PASSWORD not in str(caught.value)


@pytest.mark.parametrize("base", ["user_base_dn", "group_base_dn"])
def test_a_base_that_is_not_there_is_told(slapd: Slapd, base: str) -> None:
    with pytest.raises(DirectoryError, match=f"shows no entry ou=nowhere,{BASE}|can't be searched") as caught:
        asked_by(slapd, "disabled", **{base: f"ou=nowhere,{BASE}"}).probe()
    assert caught.value.code == "search"


def test_several_entries_of_one_name_are_nobody(slapd: Slapd) -> None:
    with pytest.raises(DirectoryError) as caught:
        asked_by(slapd, "starttls").find("twice")
    assert caught.value.code == "ambiguous"


def test_the_next_server_is_asked_where_one_is_away(slapd: Slapd) -> None:
    assert asked(1, slapd.port).authenticate("alice", ALICE_PASSWORD) == ALICE
    with pytest.raises(DirectoryError) as caught:
        asked(1).find("alice")
    assert caught.value.code == "connect"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "TOTAL_SECONDS", 1.0)


class Hostile:
    """A server that answers every connection with some bytes, and then says nothing more."""

    def __init__(self, said: bytes, times: int = 1) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._said, self._times = said, times
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self._listening.accept()
                self._open.append(connection)
                for _ in range(self._times):
                    connection.sendall(self._said)
        except OSError:
            return

    def close(self) -> None:
        self._listening.close()
        for connection in self._open:
            connection.close()


@pytest.mark.parametrize("way", ["starttls", "ldaps", "disabled"])
def test_a_server_that_says_nothing_is_waited_for_a_while_and_holds_nobody_up(quick: None, way: str) -> None:
    server = Hostile(b"")
    encryption: dict[str, Any] = {"selection": way} | ({} if way == "disabled" else {"server_certificate_check": CHECKED})
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.01):
            ticks.append(time.monotonic())

    other = threading.Thread(target=tick)
    other.start()
    try:
        with pytest.raises(DirectoryError) as caught:
            asked(server.port, encryption=encryption).find("alice")
    finally:
        done.set()
        other.join()
        server.close()
    assert caught.value.code == "timeout"
    assert len(ticks) > 10, "other threads went on"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x35\x04\x00\x04\x00",  # STARTTLS: unwillingToPerform
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30",
    ],
    ids=["http", "unwilling", "endless", "cut off"],
)
def test_starttls_that_is_not_agreed_on_sends_nothing_in_clear(quick: None, said: bytes) -> None:
    server = Hostile(said)
    with pytest.raises(DirectoryError) as caught:
        asked(server.port).authenticate("alice", ALICE_PASSWORD)
    assert caught.value.code in {"connect", "timeout"}
    heard = server._open[0].recv(65536)
    server.close()
    assert heard == directory_tunnel._STARTTLS


def test_an_endless_answer_is_cut_off(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_tunnel, "MAX_BYTES", 1 << 16)
    bind = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
    entry = b"\x30\x84\x00\x00\x10\x0f\x02\x01\x02\x64\x84\x00\x00\x10\x06\x04\x82\x10\x00" + b"x" * 4096 + b"\x30\x00"
    server = Hostile(bind + entry * 64)
    with pytest.raises(DirectoryError):
        asked(server.port, encryption={"selection": "disabled"}).find("alice")
    server.close()


def test_nothing_is_left_behind(slapd: Slapd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    asked_by(slapd, "starttls").authenticate("alice", ALICE_PASSWORD)
    assert not list(tmp_path.iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name == "directory"]


def test_without_the_library_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bonsai", None)
    with pytest.raises(DirectoryError) as caught:
        asked(1).find("alice")
    assert caught.value.code == "library"
