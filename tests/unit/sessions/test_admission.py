"""Decisions about who goes where, and as whom."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.configuration.policies import credentialstores, usermapping_policies
from doorward.configuration.ssh._connections import InbandTarget
from doorward.sessions.admission import (
    Admitted,
    Restrictions,
    UnknownTargetError,
    Wanted,
    admit,
    credential,
    in_domain,
    map_user,
    one_address,
    parse_login,
    parse_server,
)

# Targets in user names


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("root", Wanted("root")),
        ("root@", Wanted("root")),
        ("root@db1", Wanted("root", "db1")),
        ("root%db1", Wanted("root", "db1")),
        ("root@DB1.Example.COM.", Wanted("root", "db1.example.com")),
        ("root@db1:2222", Wanted("root", "db1", 2222)),
        ("root%db1+2222", Wanted("root", "db1", 2222)),
        ("root@db1/2222", Wanted("root", "db1", 2222)),
        ("root@192.168.60.100:2121", Wanted("root", "192.168.60.100", 2121)),
        ("root@[2001:DB8::1]", Wanted("root", "2001:db8::1")),
        ("root%[2001:db8::1]+22", Wanted("root", "2001:db8::1", 22)),
        ("root@[::ffff:10.0.0.1]:22", Wanted("root", "10.0.0.1", 22)),
        ("jane@corp.example@db1", Wanted("jane@corp.example", "db1")),
        ("CORP\\jane@db1", Wanted("CORP\\jane", "db1")),
        ("50%off@db1", Wanted("50%off", "db1")),
        ("gu=jane@root@db1", Wanted("root", "db1", None, "jane")),
        ("gu=jane%root%db1", Wanted("root", "db1", None, "jane")),
        ("gu=jane@root@db1:2222", Wanted("root", "db1", 2222, "jane")),
        ("gu=jane@corp.example%root%db1", Wanted("root", "db1", None, "jane@corp.example")),
        ("gu=jane@@db1", Wanted("", "db1", None, "jane")),
        ("gu=jane@root", Wanted("root", "", None, "jane")),
        ("gu=jane", Wanted("", "", None, "jane")),
    ],
)
def test_every_spelling_of_a_target(text: str, wanted: Wanted) -> None:
    assert parse_login(text, inband=True) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("jane@corp.example", Wanted("jane@corp.example")),
        ("gu=jane@root", Wanted("root", gateway="jane")),
        ("gu=jane%ro%ot", Wanted("ro%ot", gateway="jane")),
    ],
)
def test_a_fixed_server_leaves_user_names_whole(text: str, wanted: Wanted) -> None:
    assert parse_login(text, inband=False) == wanted


@pytest.mark.parametrize(
    "text",
    ["@db1", "gu=@root@db1", "root@db1:0", "root@db1:65536", "root@db1:x", "root@2001:db8::1", "root@[2001:db8::1", "root@[db1]",
     "root@[fe80::1%eth0]", "root@db_1", "root@db1:", "root@-db1", "root@db\u212a", "root@db1:22:22", "u" * 1025],
)  # fmt: skip
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(UnknownTargetError):
        parse_login(text, inband=True)


@given(st.text(max_size=60), st.booleans())
def test_any_text_is_a_login_or_refused(text: str, inband: bool) -> None:
    try:
        found = parse_login(text, inband=inband)
    except UnknownTargetError:
        return
    assert found.port is None or 0 < found.port < 65536
    assert found.user + found.gateway == "" or all(part in text for part in (found.user, found.gateway))
    assert inband or not found.host


USERS = st.text("abcXYZ019._-\\@%", min_size=1, max_size=12)
HOSTS = st.one_of(
    st.sampled_from(["db1", "a.example.com"]),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6, network="2000::/3").map(lambda a: f"[{a}]"),
)


@given(USERS, st.sampled_from("@%"), HOSTS, st.sampled_from(":+/"), st.none() | st.integers(1, 65535))
def test_what_is_put_together_comes_apart(user: str, split: str, host: str, mark: str, port: int | None) -> None:
    text = f"{user}{split}{host}" + ("" if port is None else f"{mark}{port}")
    assert parse_login(text, inband=True) == Wanted(user, host.strip("[]"), port)


def test_what_is_said_of_a_bad_target_can_be_shown() -> None:
    with pytest.raises(UnknownTargetError) as caught:
        parse_server("db\x1b[2J1")
    assert str(caught.value).isprintable()


def test_a_server_that_is_asked_for() -> None:
    assert parse_server(" DB1:22 ") == ("db1", 22)
    assert parse_server("[::1]") == ("::1", None)


# Domains


def line(value: str, port: int | None = None) -> InbandTarget:
    selection = "address" if value[0].isdigit() or ":" in value else "domain"
    return InbandTarget.model_validate({"domain": {"selection": selection, "value": value}, "port": port})


def restricted(*domains: InbandTarget, but: tuple[InbandTarget, ...] = (), own: tuple[str, ...] = ("192.0.2.1",)) -> Restrictions:
    return Restrictions(domains, but, frozenset(map(ipaddress.ip_address, own)))


@pytest.mark.parametrize(
    ("restrictions", "name", "port", "addresses", "expected"),
    [
        (restricted(line("10.0.0.0/8", 22)), "db1", None, ["10.1.1.1"], Admitted(("10.1.1.1",), 22)),
        (restricted(line("10.0.0.0/8", 22)), "db1", 22, ["10.1.1.1", "11.1.1.1"], Admitted(("10.1.1.1",), 22)),
        (restricted(line("10.0.0.0/8", 22)), "db1", 23, ["10.1.1.1"], None),
        (restricted(line("10.0.0.0/8")), "db1", 2222, ["10.1.1.1"], Admitted(("10.1.1.1",), 2222)),
        (restricted(line("10.0.0.0/8")), "db1", None, ["10.1.1.1"], Admitted(("10.1.1.1",), 22)),
        (restricted(line("10.0.0.0/8", 2222)), "db1", None, ["10.1.1.1"], Admitted(("10.1.1.1",), 2222)),
        (restricted(line("10.0.0.0/8")), "db1", None, ["::ffff:10.1.1.1"], Admitted(("10.1.1.1",), 22)),
        (restricted(line("10.0.0.0/8")), "db1", None, [], None),
        (restricted(line("*.example.com")), "a.example.com", None, ["203.0.113.5"], Admitted(("203.0.113.5",), 22)),
        (restricted(line("*.example.com")), "example.com", None, ["203.0.113.5"], None),
        (restricted(line("*.example.com")), "a.example.com.evil.test", None, ["203.0.113.5"], None),
        (restricted(line("10.0.0.0/8"), but=(line("10.1.0.0/16"),)), "db1", None, ["10.1.1.1"], None),
        (
            restricted(line("10.0.0.0/8"), but=(line("10.1.0.0/16"),)), "db1", None, ["10.1.1.1", "10.2.2.2"],
            Admitted(("10.2.2.2",), 22),
        ),
        (restricted(line("10.0.0.0/8"), but=(line("x.example"),)), "x.example", None, ["10.1.1.1"], None),
        (restricted(line("10.0.0.0/8"), but=(line("x.test", 23),)), "x.test", 22, ["10.1.1.1"], Admitted(("10.1.1.1",), 22)),
        # own addresses lead in circles, unless a line has them alone
        (restricted(line("192.0.2.0/24")), "gw", None, ["192.0.2.1"], None),
        (restricted(line("gw.example")), "gw.example", None, ["192.0.2.1"], None),
        (restricted(line("192.0.2.1")), "gw", None, ["192.0.2.1"], Admitted(("192.0.2.1",), 22)),
        (restricted(line("192.0.2.1", 2200)), "gw", 22, ["192.0.2.1"], None),
        (restricted(line("127.0.0.0/8")), "localhost", None, ["127.0.0.1"], None),
        (restricted(line("::/0")), "localhost", None, ["::1"], None),
        (restricted(line("127.0.0.1")), "localhost", None, ["127.0.0.1"], Admitted(("127.0.0.1",), 22)),
        (restricted(line("0.0.0.0/0")), "x", None, ["0.0.0.0", "255.255.255.255", "224.0.0.1"], None),  # noqa: S104
    ],
)  # fmt: skip
def test_where_a_session_may_go(
    restrictions: Restrictions, name: str, port: int | None, addresses: list[str], expected: Admitted | None
) -> None:
    if expected is None:
        with pytest.raises(UnknownTargetError):
            admit(restrictions, name, port, addresses)
    else:
        assert admit(restrictions, name, port, addresses) == expected


NETWORKS = st.tuples(st.ip_addresses(v=4), st.integers(0, 32)).map(lambda pair: f"{pair[0]}/{pair[1]}")
LINES = st.lists(st.tuples(NETWORKS, st.none() | st.sampled_from([22, 23])).map(lambda pair: line(*pair)), max_size=4)


@given(LINES, LINES, st.lists(st.ip_addresses(v=4).map(str), min_size=1, max_size=4), st.none() | st.sampled_from([22, 23, 24]))
def test_nothing_is_reached_that_no_line_allows_or_one_forbids(
    allowed: list[InbandTarget], forbidden: list[InbandTarget], addresses: list[str], port: int | None
) -> None:
    restrictions = Restrictions(tuple(allowed), tuple(forbidden), frozenset({ipaddress.ip_address(addresses[0])}))
    try:
        found = admit(restrictions, "db1", port, addresses)
    except UnknownTargetError:
        return
    assert found.addresses
    assert port in {None, found.port}

    def on(lines: list[InbandTarget], address: str) -> list[str]:
        return [
            one.domain.value for one in lines
            if one.port in {None, found.port} and one_address(address) in ipaddress.ip_network(one.domain.value, strict=False)
        ]  # fmt: skip

    for address in found.addresses:
        assert address in addresses
        assert on(allowed, address)
        assert not on(forbidden, address)
        assert address != addresses[0] or f"{address}/32" in on(allowed, address)


def test_names_and_domains() -> None:
    assert in_domain("A.Example.COM.", "a.example.com")
    assert in_domain("b.a.example.com", "*.example.com")
    assert not in_domain("notexample.com", "*.example.com")
    assert not in_domain(".example.com", "*.example.com")
    assert not in_domain("10.0.0.1", "*.0.1")


# Users

MAPPING = usermapping_policies.UsermappingPolicy.model_validate({
    "name": "x",
    "rules": [
        {"gateway_groups": ["dba"], "server_username": "oracle"},
        {"gateway_users": ["jane"], "server_username": "root"},
        {"server_username": "guest"},
    ],
})  # fmt: skip


@pytest.mark.parametrize(
    ("gateway", "groups", "wanted", "expected"),
    [
        ("joe", {"dba"}, "oracle", "oracle"),
        ("joe", {"dba"}, "root", None),
        ("jane", set(), "root", "root"),
        ("jane", set(), "oracle", None),
        ("jane", {"dba"}, "jane", "oracle"),
        ("jane", {"dba"}, "", "oracle"),
        ("jane", set(), "jane", "root"),
        ("joe", set(), "joe", "guest"),
        ("joe", set(), "guest", "guest"),
        ("joe", set(), "other", None),
        ("", {"dba"}, "oracle", None),
        ("", set(), "guest", "guest"),
    ],
)
def test_who_somebody_is_on_a_server(gateway: str, groups: set[str], wanted: str, expected: str | None) -> None:
    assert map_user(MAPPING, gateway, groups, wanted) == expected


def test_names_that_no_rule_has_may_be_allowed() -> None:
    rules = [{"gateway_groups": ["dba"], "server_username": "oracle"}]
    policy = usermapping_policies.UsermappingPolicy.model_validate({"name": "x", "allow_unmapped": True, "rules": rules})
    assert map_user(policy, "joe", set(), "joe") == "joe"
    assert map_user(policy, "joe", set(), "") == "joe"
    assert map_user(policy, "joe", set(), "backup") == "backup"
    assert map_user(policy, "joe", set(), "oracle") is None
    assert map_user(policy, "", set(), "") is None


def test_without_a_policy_everybody_is_who_they_ask_to_be() -> None:
    assert map_user(None, "jane", set(), "root") == "root"
    assert map_user(None, "jane", set(), "") == "jane"
    assert map_user(None, "", set(), "") is None


@given(st.lists(st.fixed_dictionaries({
    "gateway_users": st.lists(st.sampled_from("ab"), unique=True, max_size=2),
    "server_username": st.sampled_from("rst"),
}), max_size=4), st.sampled_from("abc"), st.sampled_from(["", "r", "s", "t", "a"]))  # fmt: skip
def test_nobody_becomes_who_no_rule_lets_them_be(rules: list[dict[str, Any]], gateway: str, wanted: str) -> None:
    policy = usermapping_policies.UsermappingPolicy.model_validate({"name": "x", "rules": rules})
    found = map_user(policy, gateway, (), wanted)
    allowed = {rule["server_username"] for rule in rules if not rule["gateway_users"] or gateway in rule["gateway_users"]}
    assert found is None or found in allowed
    assert wanted in {"", gateway} or found in {None, wanted}


# Credentials

KEYS = [f"{number}" * 4 for number in range(1, 5)]
STORE = credentialstores.CredentialStore.model_validate({
    "name": "x",
    "credentials": [
        {"host": "10.0.0.0/8", "username": "root", "password": KEYS[0]},
        {"host": "*.example.com", "username": "root", "password": KEYS[1]},
        {"host": "db1", "username": "oracle", "private_key": KEYS[2]},
        {"host": "2001:db8::1", "username": "root", "password": KEYS[3]},
    ],
})  # fmt: skip


@pytest.mark.parametrize(
    ("names", "address", "username", "key"),
    [
        (["db1"], "10.1.1.1", "root", KEYS[0]),
        (["a.example.com"], "10.1.1.1", "root", KEYS[0]),
        (["a.example.com"], "203.0.113.1", "root", KEYS[1]),
        (["db1", "db1.other.test"], "203.0.113.1", "root", None),
        (["2001:db8::1"], "2001:db8::1", "root", KEYS[3]),
        (["10.1.1.1"], "10.1.1.1", "jane", None),
    ],
)
def test_credentials_of_a_server(names: list[str], address: str, username: str, key: str | None) -> None:
    found = credential(STORE, names, address, username)
    assert (found.password.key if found and found.password else None) == key


def test_a_credential_may_be_a_key() -> None:
    found = credential(STORE, ["db1"], "203.0.113.1", "oracle")
    assert found is not None
    assert found.private_key is not None
    assert (found.private_key.key, found.password) == (KEYS[2], None)
