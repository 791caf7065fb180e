"""SSH servers as people write them, and what the quickstart makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from doorward.cli.failures import CommandError, Usage
from doorward.cli.servers import ServerHostKey, ServerName, login_of, server_of, unknown
from doorward.cli.starting import start

if TYPE_CHECKING:
    from doorward.cli.remote import Remote
    from doorward.client.blocking import Client

KEY = ServerHostKey("ssh-ed25519 AAAA", "SHA256:one")


@pytest.mark.parametrize(
    ("text", "user", "server", "label"),
    [
        ("web1", "", ServerName("web1"), "web1"),
        ("root@Web1.Example.com:2022", "root", ServerName("web1.example.com", 2022), "web1.example.com:2022"),
        ("root@192.0.2.7:22", "root", ServerName("192.0.2.7"), "192.0.2.7"),
        ("jane@[2001:DB8::7]:2022", "jane", ServerName("2001:db8::7", 2022), "[2001:db8::7]:2022"),
        ("localhost:2022", "", ServerName("127.0.0.1", 2022), "127.0.0.1:2022"),
    ],
)
def test_servers_are_understood(text: str, user: str, server: ServerName, label: str) -> None:
    assert login_of(text) == (user, server)
    assert server.label == label


@pytest.mark.parametrize("text", ["", "root@", "a b", "web1:0", "web1:66000", "a@b@web1", "x y@web1", "ro\x1bot@web1"])
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(Usage) as refused:
        login_of(text)
    assert "\x1b" not in str(refused.value)


class Trusting:
    """A client of a node that trusts one key."""

    def get(self, _path: str) -> Any:
        body = {"type": "ssh-ed25519", "host": "web1", "port": 22, "public_key": KEY.public_key, "fingerprint": KEY.fingerprint}
        return type("Answer", (), {"content": {"items": [{"key": "ssh-ed25519-web1:22", "body": body}]}})


def test_only_what_is_not_trusted_yet_is_new_and_another_key_is_refused() -> None:
    client, web1, other = cast("Client", Trusting()), ServerName("web1"), ServerHostKey("ecdsa-sha2-nistp256 BBBB", "SHA256:two")
    assert unknown(client, web1, [KEY, other]) == [other]
    assert unknown(client, ServerName("web1", 2022), [KEY]) == [KEY]
    with pytest.raises(CommandError, match=r"Somebody may be in between.*trusted SHA256:one, offered SHA256:new"):
        unknown(client, web1, [ServerHostKey("ssh-ed25519 CCCC", "SHA256:new")])


class Fresh:
    """A node without SSH. ``connections``: its connection policies."""

    def __init__(self, *connections: dict[str, Any], enabled: bool = False) -> None:
        self.connections = dict(enumerate(connections))
        self.enabled = enabled

    def objects(self, _path: str) -> Any:
        return self.connections

    def value(self, path: str) -> Any:
        if path.endswith("options"):
            return {"service": {"enabled": self.enabled}}
        addresses = {"@order": ["b", "a"], "a": "192.0.2.9/25", "b": "2001:db8::9/64"} if path.endswith("nic2") else {}
        return {"interfaces": {"@order": ["x"], "x": {"addresses": addresses}}}


def network(remote: Fresh, server: str, address: str = "") -> Any:
    made = start(cast("Remote", remote), server_of(server), 2222, address)
    return made.described["ssh"]["connections"]["quickstart"]["network"], made


def test_the_first_address_with_its_network_is_taken_unless_another_is_named() -> None:
    found, made = network(Fresh(), "web1")
    assert found == {"clients": ["2001:db8::/64"], "ports": [2222], "targets": ["2001:db8::9/128"]}
    assert made.is_new
    found, made = network(Fresh(), "web1", "192.0.2.9")
    assert found == {"clients": ["192.0.2.0/25"], "ports": [2222], "targets": ["192.0.2.9/32"]}
    with pytest.raises(Usage, match=r"it has 2001:db8::9, 192\.0\.2\.9"):
        network(Fresh(), "web1", "192.0.2.10")


def test_a_policy_that_is_there_gets_the_server_and_nothing_else() -> None:
    _, first = network(Fresh(), "web1", "192.0.2.9")
    policy = {"name": "quickstart", "active": True, **first.described["ssh"]["connections"]["quickstart"]}
    again = start(cast("Remote", Fresh(policy, enabled=True)), server_of("web1"), 2300)
    assert (again.described, again.host, again.port, again.is_new) == ({}, "192.0.2.9", 2222, False)
    more = start(cast("Remote", Fresh(policy, enabled=True)), server_of("10.0.0.7:2022"), 2300)
    [(name, described)] = more.described["ssh"].items()
    assert name == "connections"
    assert described["quickstart"] == {
        "server_address": {
            "domains": [
                {"domain": {"selection": "domain", "value": "web1"}, "port": 22},
                {"domain": {"selection": "address", "value": "10.0.0.7/32"}, "port": 2022},
            ]
        }
    }
    with pytest.raises(CommandError, match="not what this command made"):
        start(cast("Remote", Fresh({**policy, "active": False})), server_of("web1"), 2222)
