"""Who may see and act on which sessions: the condition in the database and the look at one row always agree."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import doorward.configuration
from doorward.access.rights import Rights
from doorward.host.machine import Machine
from doorward.sessions.audience import PATH, Audience, audience
from doorward.sessions.catalogue.fields import FIELDS
from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.sessions.catalogue.results import SortOrder
from doorward.sessions.catalogue.rows import Facts
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.registry import discover
from doorward.tree.snapshot import Document, Snapshot
from tests.support.catalogues import ENGINES, made, opened
from tests.support.recorded import LINUX, ORACLE, row

EVERYBODY = {"selection": "everybody"}
DBA = {"selection": "only", "group": "dba"}


def line(
    authorizer: str = "auditors", permission: str = "audit", subject: dict[str, Any] = EVERYBODY, **more: bool
) -> dict[str, Any]:
    return {
        "authorizer": authorizer,
        "permission": permission,
        "require_different_ip": more.get("ip", False),
        "require_different_username": more.get("user", False),
        "subject": subject,
    }


def snapshot(**lines: list[dict[str, Any]]) -> Snapshot:
    """A configuration with two connection policies."""
    found = discover(doorward.configuration).defaults(Machine())
    for key, name in ((LINUX, "linux"), (ORACLE, "oracle")):
        stored = encode({"access_control": lines.get(name, []), "name": name})
        found = found.put(Place(PATH, key), Document(stored, stored))
    return found


def rights(*groups: str, objects: tuple[str, ...] = (), everything: bool = False) -> Rights:
    return Rights(everything, frozenset(objects), frozenset(), groups)


def seen(of: Audience, rows: list[Any], catalogue: KeptSessions) -> list[int]:
    with catalogue.looking() as look:
        found = list(look.ids(of.criterion(), SortOrder(((FIELDS["recording.content_reference_id"], False),)), 100))
    assert found == [number for number, one in enumerate(rows, 1) if of.sees(one)], "the database and the rule differ"
    return found


@pytest.fixture(scope="module", params=ENGINES)
def sessions(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[Any], KeptSessions]]:
    """1-4 on linux: of nobody, jane (dba), bob (ops, dba), JANE; 5-8 the same on oracle; 9 on a policy that is gone."""
    people = [("", ()), ("jane", ("dba",)), ("bob", ("ops", "dba")), ("JANE", ("dba2", "xdba"))]
    rows = [
        row(number, policy_key=policy, gateway_user=user, gateway_groups=groups)
        for number, (policy, (user, groups)) in enumerate([*itertools.product((LINUX, ORACLE), people), ("gone", people[1])], 1)
    ]

    async def begun(catalogue: KeptSessions) -> None:
        for one in rows:
            await catalogue.begin(one)

    with opened(request.param, tmp_path_factory.mktemp("audience")) as catalogue:
        asyncio.run(begun(catalogue))
        yield rows, catalogue


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({}, []),
        ({"linux": [line()]}, [1, 2, 3, 4]),
        ({"linux": [line("others")]}, []),
        ({"linux": [line(permission="authorize")]}, []),
        ({"linux": [line(permission="audit_and_authorize")]}, [1, 2, 3, 4]),
        ({"linux": [line(subject=DBA)]}, [2, 3]),
        ({"linux": [line(user=True)]}, [1, 3]),
        ({"linux": [line(subject=DBA, user=True)]}, [3]),
        ({"linux": [line(subject=DBA)], "oracle": [line()]}, [2, 3, 5, 6, 7, 8]),
        ({"linux": [line(subject=DBA, user=True), line(subject={"selection": "only", "group": "ops"})]}, [3]),
        ({"oracle": [line("others"), line(subject=DBA)]}, [6, 7]),
    ],
)
def test_sessions_are_seen_by_access_control(
    sessions: tuple[list[Any], KeptSessions], lines: dict[str, Any], expected: list[int]
) -> None:
    of = audience(snapshot(**lines), "jane", rights("auditors", "more"))
    assert seen(of, *sessions) == expected
    assert of.sees_some == bool(expected)


@pytest.mark.parametrize("of", [rights(objects=("/special/searchmenu",)), rights(everything=True)])
def test_the_right_to_search_shows_all(sessions: tuple[list[Any], KeptSessions], of: Rights) -> None:
    assert seen(audience(snapshot(), "jane", of), *sessions) == list(range(1, 10))


@pytest.mark.parametrize("name", ["/special/ssh", "/special/basic", "/api/configuration/ssh"])
def test_other_rights_show_nothing(name: str) -> None:
    of = audience(snapshot(), "jane", rights(objects=(name,)))
    assert not of.sees_some
    assert not of.acts


def test_who_may_authorize_acts_from_another_place_on_others() -> None:
    lines = [line("chiefs", "authorize", DBA, ip=True, user=True)]
    of = audience(snapshot(linux=lines), "boss", rights("chiefs"))
    jane = row(gateway_user="jane", gateway_groups=("dba",))
    assert of.acts
    assert of.may_act(jane, "203.0.113.1")
    assert not of.may_act(jane, jane.client.ip)
    assert not of.may_act(row(gateway_user="boss", gateway_groups=("dba",)), "203.0.113.1")
    assert not of.may_act(row(gateway_user="Boss", gateway_groups=("dba",)), "203.0.113.1")
    assert not of.may_act(row(gateway_user="jane", gateway_groups=("ops",)), "203.0.113.1")
    assert not of.may_act(row(policy_key=ORACLE, gateway_user="jane", gateway_groups=("dba",)), "203.0.113.1")
    assert not of.sees_some


def test_the_right_to_search_is_no_right_to_act() -> None:
    of = audience(snapshot(), "jane", rights(objects=("/special/searchmenu",)))
    assert not of.acts
    assert not of.may_act(row(), "")
    assert audience(snapshot(), "admin", rights(everything=True)).may_act(row(), "")


@pytest.mark.parametrize("engine", ENGINES)
def test_groups_that_hold_separators_open_nothing(engine: str, tmp_path: Path) -> None:
    catalogue = made(engine, tmp_path)
    asyncio.run(catalogue.begin(row(1)))
    asyncio.run(catalogue.update(row(1).key, Facts(gateway_groups=("x\x1fdba\x1fy",))))
    catalogue.writer.flush()
    of = audience(snapshot(linux=[line(subject=DBA)]), "jane", rights("auditors"))
    with catalogue.looking() as look:
        found = look.count(of.criterion())
    catalogue.close()
    assert found == 0
