"""Lucene queries over sessions: what they find, and how they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doorward.sessions.catalogue.criteria import ALL
from doorward.sessions.catalogue.fields import FIELDS
from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.sessions.catalogue.query import MAX_QUERY, QueryRefusedError, parsed
from doorward.sessions.catalogue.results import SortOrder, TooSlowError
from doorward.sessions.catalogue.rows import Facts, Peer, SessionEnd
from tests.support.catalogues import ENGINES, opened
from tests.support.recorded import ORACLE, row, tell

OTHER = Facts(
    gateway_user="Bob",
    gateway_groups=("ops",),
    server_user="oracle",
    server=Peer("10.9.0.1", 2222, "ora_1"),
    auth_method="publickey",
)
BY_START = SortOrder(((FIELDS["start_time"], False),))


@pytest.fixture(scope="module", params=ENGINES)
def catalogue(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptSessions]:
    """1: jane, ended after 57 s. 2: Bob on another policy, runs. 3: nobody, ended by force after an hour."""
    with opened(request.param, tmp_path_factory.mktemp("query")) as made:
        tell(made, row(1), lines=("$ cat /etc/passwd", "root:x:0:0", "Größe naïve"))
        tell(
            made, row(2, policy="oracle db", policy_key=ORACLE, client=Peer("2001:db8::7", 5)), facts=OTHER, end=None,
            lines=("select 1 from dual", "one"), commands=(),
        )  # fmt: skip
        tell(
            made,
            row(3),
            facts=Facts(),
            lines=("passwd", "alpha beta gamma"),
            end=SessionEnd(at=3_600_000, verdict="TERMINATED", reason="no"),
        )
        yield made


def found(catalogue: KeptSessions, query: str) -> list[int]:
    with catalogue.looking() as look:
        return list(look.ids(parsed(query, UTC).criterion, BY_START, 100))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2, 3]),
        ("*", [1, 2, 3]),
        ("*:*", [1, 2, 3]),
        ("protocol:SSH", [1, 2, 3]),
        ("protocol:ssh AND user.name:jane", [1]),
        ("user.name:bob", [2]),
        ("user.name:(jane OR bob)", [1, 2]),
        ("user.name:j*", [1]),
        ("user.name:?ob", [2]),
        ("server.name:ora_1", [2]),
        ("server.name:ora?1", [2]),
        ("server.name:ora%1", []),
        ("server.name:db1.*", [1]),
        ('recording.connection_policy:"oracle db"', [2]),
        (r"recording.connection_policy:oracle\ db", [2]),
        ("recording.connection_policy:oracle", []),
        ("active:true", [2]),
        ("active:false", [1, 3]),
        ("NOT active:true", [1, 3]),
        ("-active:true", [1, 3]),
        ("verdict:TERMINATED", [3]),
        ("duration:57", [1]),
        ("duration:>=57", [1, 3]),
        ("duration:[57 TO 58]", [1]),
        ("duration:{57 TO *]", [3]),
        ("duration:[-5 TO 60]", [1]),
        ("NOT duration:57", [2, 3]),
        ("client.ip:192.0.2.7", [1, 3]),
        ('client.ip:"192.0.2.0/24"', [1, 3]),
        ('client.ip:"2001:db8::/32"', [2]),
        (r"client.ip:2001\:db8\:0\:0\:0\:0\:0\:7", [2]),
        ("client.ip:192.0.*", [1, 3]),
        ("client.port:[50001 TO 50001]", [1]),
        ("start_time:2026-11-29", [1, 2, 3]),
        ('start_time:"2026-11-29T10:00:01"', [1]),
        ("start_time:[2026-11-29T10\\:00\\:02Z TO *]", [2, 3]),
        ("start_time:[2026-11-28 TO 2026-11-29]", [1, 2, 3]),
        ("start_time:[2026-11-28 TO 2026-11-29}", []),
        ("start_time:>2026-11-29", []),
        ("start_time:>now-1m", []),
        ("end_time:*", [1, 3]),
        ("user.gateway_username:*", [1, 2]),
        ("recording.has_accepted_channel:true AND hidden:false", [1, 2, 3]),
        ("recording.command_extracted:true", [1, 3]),
        ("server.port:2222^4", [2]),
        # content
        ("passwd", [1, 3]),
        ("PASSWD", [1, 3]),
        ("passw*", [1, 3]),
        ('"/etc/passwd"', [1]),
        ("etc/passwd", [1]),
        ('"beta gamma"', [3]),
        ('"gamma beta"', []),
        ('"alpha gamma"~2', [3]),
        ('"alpha gamma"~0', []),
        ('"passwd root"', []),
        ("grosse", []),
        ("große naive", [1]),
        ("naive", [1]),
        ("passwd AND user.name:jane", [1]),
        ("passwd dual", [1, 2, 3]),
        ("passwd -alpha", [1]),
        ("+passwd dual", [1, 3]),
        ("passwd AND NOT (alpha OR dual)", [1]),
        ("ls", [1, 3]),
        ('"--"', []),
        ('"\\""', []),
        (r"y\'; DROP", []),
    ],
)
def test_a_query_finds(catalogue: KeptSessions, query: str, expected: list[int]) -> None:
    assert found(catalogue, query) == expected


@pytest.mark.parametrize(
    ("query", "code", "position"),
    [
        ("nix:1", "unknown_field", 0),
        ("protocol:SSH AND nix:1", "unknown_field", 17),
        ("user.name:(a OR b:c)", "syntax", 16),
        ("(a", "syntax", 2),
        ("a AND", "syntax", 5),
        ("'", "syntax", 0),
        ('"open', "syntax", 0),
        ("user.name:", "syntax", 10),
        ("active:maybe", "format", 7),
        ("duration:long", "format", 9),
        ("start_time:yesterday", "format", 11),
        ('client.ip:"10.0.0.0/99"', "format", 10),
        ("duration:5*", "not_supported", 9),
        ("active:[true TO false]", "not_supported", 8),
        ("client.ip:>10.0.0.1", "not_supported", 11),
        ("user.name:jane~", "not_supported", 10),
        ("word~1", "not_supported", 0),
        ("/word/", "not_supported", 0),
        ("user.name:/word/", "not_supported", 10),
        ("wo*rd", "not_supported", 0),
        ("*word", "not_supported", 0),
        ("wor?", "not_supported", 0),
        ("a && b", "not_supported", 2),
        ("a || b", "not_supported", 2),
        ("a !b", "not_supported", 2),
        ("[a TO b]", "not_supported", 0),
    ],
)
def test_a_query_is_refused_by_its_place(query: str, code: str, position: int) -> None:
    with pytest.raises(QueryRefusedError) as caught:
        parsed(query)
    assert (caught.value.code, caught.value.position) == (code, position)


def test_an_unknown_field_is_told_which_there_are() -> None:
    with pytest.raises(QueryRefusedError, match=r"Fields are active, client\.ip, .*verdict"):
        parsed("user:jane")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("a" * (MAX_QUERY + 1), "length"),
        ("(" * 2000 + "a" + ")" * 2000, "too_deep"),
        ("NOT " * 1000 + "a", "too_deep"),
        (" OR ".join("abc"[i % 3] for i in range(600)), "too_many"),
        ("user.name:(" + " ".join(["a"] * 200) + ")", "too_many"),
    ],
)
def test_a_query_is_bounded(query: str, code: str) -> None:
    with pytest.raises(QueryRefusedError) as caught:
        parsed(query)
    assert caught.value.code == code


PIECES = [*"ab:()[]{}\"'~*?^+-!&|\\/<>= \t0", "AND ", "OR ", "NOT ", "TO ", "user.name:", "duration:", "start_time:"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=30))
def test_whatever_is_asked_is_answered_or_refused(catalogue: KeptSessions, pieces: list[str]) -> None:
    query = "".join(pieces)
    with catalogue.looking() as look, suppress(QueryRefusedError):
        look.count(parsed(query).criterion)


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=30))
def test_the_place_of_a_refusal_is_in_the_query(pieces: list[str]) -> None:
    query = "".join(pieces)
    position = 0
    try:
        parsed(query)
    except QueryRefusedError as refused:
        position = refused.position or 0
    assert 0 <= position <= len(query)


def test_times_without_zone_are_those_of_the_node(catalogue: KeptSessions) -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    with catalogue.looking() as look:
        for query, expected in (
            ("start_time:2026-11-29", 3),
            ('start_time:"2026-11-29T19:00:01"', 1),
            ("start_time:2026-11-30", 0),
        ):
            assert look.count(parsed(query, tokyo).criterion) == expected


def test_a_search_that_takes_too_long_is_ended(catalogue: KeptSessions) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(TooSlowError), catalogue.looking(0.05) as look:
        look.connection.execute(endless).fetchone()
    assert found(catalogue, "*") == [1, 2, 3]


def test_a_reader_can_not_write(catalogue: KeptSessions) -> None:
    with pytest.raises(CatalogueUnavailableError, match=r"read-?only"), catalogue.looking() as look:
        look.connection.execute("DELETE FROM sessions")


# Pages, counts, statistics


def test_pages_are_in_order_with_a_count(catalogue: KeptSessions) -> None:
    newest = SortOrder(((FIELDS["start_time"], True),))
    with catalogue.looking() as look:
        for criterion in (ALL, parsed("passwd OR dual").criterion):
            assert [list(look.page(criterion, newest, 2, at)[0]) for at in (0, 2, 4)] == [[3, 2], [1], []]
            assert {look.page(criterion, newest, 2, at)[1] for at in (0, 2, 4)} == {3}
        by_user = SortOrder(((FIELDS["user.name"], False), (FIELDS["start_time"], True)))
        assert list(look.ids(ALL, by_user, 9)) == [3, 2, 1]


def test_rows_come_in_the_order_that_was_asked_for_without_those_that_are_gone(catalogue: KeptSessions) -> None:
    with catalogue.looking() as look:
        assert [one.id for one in look.rows([3, 99, 1], ALL)] == [3, 1]
        assert [one.id for one in look.rows([3, 2, 1], parsed("active:true").criterion)] == [2]


def test_the_most_frequent_values_are_counted(catalogue: KeptSessions) -> None:
    with catalogue.looking() as look:
        one = look.frequent(ALL, FIELDS["verdict"], 1, FIELDS["client.ip"])
        assert one.values == [("ACCEPT", 2, [("192.0.2.7", 1)])]
        assert one.others == 1
        assert look.frequent(ALL, FIELDS["active"], 5, None).values == [(False, 2, []), (True, 1, [])]
        assert look.frequent(ALL, FIELDS["user.gateway_username"], 5, None).others == 1


@pytest.mark.parametrize(
    ("width", "zone", "expected"),
    [
        ("minute", "UTC", [("2026-11-29T10:00:00+00:00", 3)]),
        ("hour", "Asia/Kolkata", [("2026-11-29T15:00:00+05:30", 3)]),
        ("day", "Asia/Tokyo", [("2026-11-29T00:00:00+09:00", 3)]),
        ("week", "UTC", [("2026-11-23T00:00:00+00:00", 3)]),
        ("month", "UTC", [("2026-11-01T00:00:00+00:00", 3)]),
        ("year", "UTC", [("2026-01-01T00:00:00+00:00", 3)]),
    ],
)
def test_a_histogram_counts_by_the_clock_of_the_node(catalogue: KeptSessions, width: str, zone: str, expected: object) -> None:
    with catalogue.looking() as look:
        bins = look.times(ALL, FIELDS["start_time"], width, ZoneInfo(zone))
    assert [(at.isoformat(), n) for at, n in bins] == expected


def test_a_histogram_of_numbers(catalogue: KeptSessions) -> None:
    with catalogue.looking() as look:
        assert look.numbers(ALL, FIELDS["duration"], 50) == [(50, 1), (3600, 1)]
