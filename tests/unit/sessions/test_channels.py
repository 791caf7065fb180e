"""Which rule of a channel policy decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.sessions.channels import Asked, Circumstances, classify_command, decide, scp_path
from doorward.sessions.rules import ChannelRule, ChannelType, End, Forward, Hours

MONDAY = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)
AROUND = Circumstances(
    client="192.0.2.7",
    server="10.1.2.3",
    server_name="db1.example.com",
    gateway_groups=("staff", "dba"),
    remote_groups=("wheel",),
)


def is_allowed(asked: Asked, around: Circumstances = AROUND, now: datetime = MONDAY, **members: Any) -> bool:
    rule = ChannelRule(channel=asked.channel, position=0, **members)
    return decide((rule,), asked, around, now) is rule


SHELL = Asked(channel=ChannelType.SHELL)
DAYS = tuple(((9 * 60, 10 * 60),) if day == 0 else () for day in range(7))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, True),
        ({"clients": ("192.0.2.0/24",)}, True),
        ({"clients": ("198.51.100.0/24", "2001:db8::/32")}, False),
        ({"servers": ("10.0.0.0/8",)}, True),
        ({"servers": ("*.example.com",)}, True),
        ({"servers": ("DB1.example.com.",)}, True),
        ({"servers": ("example.com", "db2.example.com", "10.1.2.4/32")}, False),
        ({"gateway_groups": ("dba",)}, True),
        ({"gateway_groups": ("admins",)}, False),
        ({"remote_groups": ("wheel", "other")}, True),
        ({"remote_groups": ("other",)}, False),
        ({"hours": Hours(days=DAYS, zone="UTC")}, True),
        ({"clients": ("192.0.2.7/32",), "gateway_groups": ("nobody",)}, False),
    ],
)
def test_every_member_must_match(members: dict[str, Any], expected: bool) -> None:
    assert is_allowed(SHELL, **members) is expected


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.5%.evil.example", "10.0.0.5%eth0", "2001:db8::1%.evil.example", "evil.example\0.example.com",
        "10.9.9.9 .example.com", "evil.example\n.example.com", "x\udc80.example.com", "\uff11.example.com",
        "167772165", "0x0a000005", "012.0.0.5", "10.0.0.5 ",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_host_is_no_end_of_a_forward(host: str) -> None:
    """The server would resolve it to something else than what the rule names."""
    ends = [End(selection="address", value="10.0.0.0/8"), End(selection="address", value="2001:db8::/32")]
    forwards = tuple(Forward(host=end) for end in (*ends, End(selection="domain", value="*.example.com")))
    for kind in (ChannelType.LOCAL_FORWARD, ChannelType.REMOTE_FORWARD):
        assert not is_allowed(Asked(channel=kind, host=host, port=22), forwards=forwards)


@pytest.mark.parametrize(("clock", "expected"), [((8, 59), False), ((9, 0), True), ((10, 0), True), ((10, 1), False)])
def test_hours_hold_to_their_last_minute(clock: tuple[int, int], expected: bool) -> None:
    now, hours = datetime(2026, 11, 30, *clock, tzinfo=UTC), Hours(days=DAYS, zone="UTC")
    assert is_allowed(SHELL, now=now, hours=hours) is expected
    assert not is_allowed(SHELL, now=now.replace(day=29), hours=hours)


def test_hours_are_those_of_the_node_wherever_its_machine_takes_itself_to_be() -> None:
    there = Hours(days=DAYS, zone="Asia/Tokyo")
    assert not is_allowed(SHELL, now=MONDAY, hours=there)
    assert is_allowed(SHELL, now=MONDAY - timedelta(hours=9), hours=there)


def test_the_first_rule_that_matches_decides() -> None:
    first = ChannelRule(channel=ChannelType.EXEC, position=0, execs=("uptime",))
    other = ChannelRule(channel=ChannelType.SHELL, position=1)
    last = ChannelRule(channel=ChannelType.EXEC, position=2)
    rules = (first, other, last)
    assert decide(rules, Asked(channel=ChannelType.EXEC, command="uptime"), AROUND, MONDAY) is first
    assert decide(rules, Asked(channel=ChannelType.EXEC, command="id"), AROUND, MONDAY) is last
    assert decide(rules, Asked(channel=ChannelType.AGENT), AROUND, MONDAY) is None


@pytest.mark.parametrize("command", ["uptime; id", "uptime\nid", " uptime", "uptimes"])
def test_an_expression_covers_the_whole_command(command: str) -> None:
    assert is_allowed(Asked(channel=ChannelType.EXEC, command="uptime"), execs=("^uptime$",))
    assert not is_allowed(Asked(channel=ChannelType.EXEC, command=command), execs=("^uptime$", "uptime"))


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (Forward(), True),
        (Forward(port=80), True),
        (Forward(port=81), False),
        (Forward(host=End(selection="domain", value="*.example.com")), True),
        (Forward(host=End(selection="address", value="10.0.0.0/8")), False),
        (Forward(host=End(selection="path", value="web.example.com")), False),
        (Forward(originator=End(selection="address", value="127.0.0.0/8")), True),
        (Forward(originator=End(selection="address", value="10.0.0.0/8")), False),
    ],
)
def test_forwards_are_allowed_by_their_ends(forward: Forward, expected: bool) -> None:
    asked = Asked(channel=ChannelType.LOCAL_FORWARD, host="web.example.com", port=80, originator="127.0.0.1")
    assert is_allowed(asked, forwards=(forward,)) is expected


def test_a_name_is_not_taken_for_an_address_nor_a_path_for_either() -> None:
    network = Forward(host=End(selection="address", value="0.0.0.0/0"))
    path = Forward(host=End(selection="path", value="/run/db"))
    local = ChannelType.LOCAL_FORWARD
    assert is_allowed(Asked(channel=local, host="::ffff:10.1.1.1", port=1), forwards=(network,))
    assert not is_allowed(Asked(channel=local, host="10.1.1.1.example.com", port=1), forwards=(network,))
    assert not is_allowed(Asked(channel=local, path="/run/db"), forwards=(network,))
    assert is_allowed(Asked(channel=local, path="/run/db"), forwards=(path,))
    assert not is_allowed(Asked(channel=local, path="/run/../run/db"), forwards=(path,))
    assert not is_allowed(Asked(channel=local, path="/run/db"), forwards=(Forward(port=5432),))


def test_who_will_connect_is_looked_at_when_somebody_does() -> None:
    rule = Forward(originator=End(selection="address", value="10.0.0.0/8"))
    remote = ChannelType.REMOTE_FORWARD
    assert is_allowed(Asked(channel=remote, host="0.0.0.0", port=80, is_listening=True), forwards=(rule,))  # noqa: S104 - a name
    assert not is_allowed(Asked(channel=remote, host="0.0.0.0", port=80, originator="11.1.1.1"), forwards=(rule,))  # noqa: S104


@pytest.mark.parametrize(
    "command",
    [
        "scp -t /tmp/file", "scp -f file", "scp -r -p -t -- dir", "/usr/bin/scp -v -f 'a file'", "scp -pf 'x'", "scp -d -t ~/dir",
        "scp -f *.log", "scp -t a\\ b",
    ],
)  # fmt: skip
def test_the_old_scp_is_known(command: str) -> None:
    assert classify_command(command) is ChannelType.SCP


@pytest.mark.parametrize(
    "command",
    [
        "scp", "scp -t", "scp file host:", "scp -t x; id", "scp -t x && id", "scp -t `id`", "scp -t $(id)", "scp -t x\nid",
        "scp -t x | tee y", "scp -t x > y", 'scp -t "$HOME"', "scp -f a b", "scp -S /bin/sh -t x", "scp -t '", "scp -t \\'; id '",
        "scp -t 'a'\\''; id '", "myscp -t x", "/tmp/scp -t x",
        "/usr/bin/../../tmp/scp -t x", "scp -x -q y", "sudo scp -t x", "scp -t -Fevil", "scp -o x -t y",
    ],
)  # fmt: skip
def test_what_a_shell_could_make_more_of_is_no_scp(command: str) -> None:
    assert classify_command(command) is ChannelType.EXEC


@given(st.text(alphabet="scp -tf'\\;&|$`\"\n /x*", max_size=25))
def test_whatever_counts_as_scp_has_nothing_active_outside_of_quotes(tail: str) -> None:
    path = scp_path("scp -t " + tail)
    if path is None:
        return
    quoted = False
    for character in path:
        if character == "'":
            quoted = not quoted
        elif not quoted:
            assert character not in ';&|<>()`$\n"'
    assert not quoted
