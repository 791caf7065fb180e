"""What Central Management makes of the answers of nodes that lie, claim each other's sessions, or are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from doorward.access.rights import Rights
from doorward.api.audit.service import AuditService
from doorward.api.audit.sessions import SessionList
from doorward.api.errors import ApiError
from doorward.api.request import Request
from doorward.sessions.audience import Audience, AudienceGrant
from doorward.sessions.catalogue.rows import SessionRow
from doorward.sessions.central.port import NodeAwayError, NodeRefusedError, OtherNodes, SearchedNode
from doorward.sessions.central.questions import (
    CountQuestion,
    FoundRow,
    PageAnswer,
    PageQuestion,
    RowsQuestion,
    SearchQuestion,
    SessionQuestion,
)
from tests.support.recorded import LINUX, ORACLE, key_of, row, tell
from tests.unit.api.audit.parts import ADMIN, request, service
from tests.unit.sessions.test_audience import snapshot

LIST = "api/audit/sessions"


class Nodes(OtherNodes):
    """Some nodes that answer what the test gives them: rows by id. One without rows is away."""

    def __init__(self, **rows: list[SessionRow] | None) -> None:
        self.told = rows
        self.asked: list[tuple[str, Audience]] = []

    def all(self) -> Mapping[str, SearchedNode]:
        return {name: SearchedNode(name, name.upper(), "192.0.2.1") for name in self.told}

    def ask(self, node: str, audience: Audience, question: SearchQuestion[Any]) -> Any:
        self.asked.append((node, audience))
        rows = self.told[node]
        if rows is None:
            raise NodeAwayError("it is gone")
        found = {number: FoundRow(number, one, has_commands=False, has_titles=False) for number, one in enumerate(rows, 1)}
        match question:
            case PageQuestion():
                return PageAnswer(len(rows), list(found), [[one.row.began] for one in found.values()])
            case RowsQuestion():
                return list(found.values())
            case SessionQuestion():
                return [one for one in found.values() if one.row.key == question.key]
            case CountQuestion():
                return len(rows)
            case _:
                raise NodeRefusedError("no_session")

    def ask_each(self, audience: Audience, questions: Mapping[str, SearchQuestion[Any]]) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for node, question in questions.items():
            try:
                found[node] = self.ask(node, audience, question)
            except (NodeAwayError, NodeRefusedError) as error:
                found[node] = error
        return found


@pytest.fixture
def local(tmp_path: Path) -> Iterator[AuditService]:
    made = service(tmp_path, snapshot(linux=[]))
    tell(made.catalogue, row(1))
    yield made
    made.catalogue.close()


def shown(local: AuditService, nodes: Nodes, path: str, rights: Rights = ADMIN) -> dict[str, Any]:
    """What a GET answers."""
    asked = request(path, rights)
    resource: Any = SessionList(replace(local, nodes=nodes, holders={}))
    for part in asked.segments[3:]:
        resource = resource.child(part, asked)
    content = asyncio.run(resource.get(asked)).content
    assert isinstance(content, dict)
    return content


def keys(found: dict[str, Any]) -> list[str]:
    return [item["key"] for item in found["items"]]


def test_a_node_shows_its_own_rows_under_its_own_name(local: AuditService) -> None:
    found = shown(local, Nodes(one=[row(2, node="another"), row(3)]), f"{LIST}?fields=node_id&sort=-start_time")
    assert keys(found) == [key_of(3), key_of(2), key_of(1)]
    assert [item["body"]["node_id"] for item in found["items"]][:2] == ["one", "one"]


def test_a_row_that_is_none_is_left_out_and_the_others_stay(local: AuditService) -> None:
    found = shown(local, Nodes(one=[row(2, verdict="<b>"), row(3)]), LIST)
    assert keys(found) == [key_of(1), key_of(3)]


def test_a_session_of_this_node_is_no_other_nodes(local: AuditService) -> None:
    liar = Nodes(one=[structs.replace(row(9), key=key_of(1))])
    assert shown(local, liar, f"{LIST}/{key_of(1)}?fields=*")["body"]["node_id"] == row(1).node
    assert liar.asked == []


def test_a_session_that_two_nodes_claim_is_refused(local: AuditService) -> None:
    with pytest.raises(ApiError) as refused:
        shown(local, Nodes(one=[row(2)], other=[row(2)]), f"{LIST}/{key_of(2)}")
    assert (refused.value.status, refused.value.details["code"]) == (409, "ambiguous")


def test_what_the_account_may_not_see_is_not_shown_whatever_a_node_answers(local: AuditService) -> None:
    class Narrow(AuditService):
        def audience(self, _request: Request) -> Audience:
            return Audience(
                "jane",
                grants=(
                    AudienceGrant(LINUX, may_audit=True, may_authorize=False, group=None, other_user=False, other_address=False),
                ),
            )

    nodes = Nodes(one=[row(2), row(3, policy_key=ORACLE)])
    given = Narrow(local.catalogue, local.trails, local.live, local.running)
    assert keys(shown(given, nodes, LIST)) == [key_of(1), key_of(2)]
    assert all(not audience.sees_all for _, audience in nodes.asked)
    with pytest.raises(ApiError) as refused:
        shown(given, nodes, f"{LIST}/{key_of(3)}")
    assert refused.value.status == 404


def test_a_node_that_is_away_is_named_and_its_sessions_may_be_there(local: AuditService) -> None:
    nodes = Nodes(gone=None, one=[row(2)])
    found = shown(local, nodes, LIST)
    assert keys(found) == [key_of(1), key_of(2)]
    assert [warning["path"] for warning in found["meta"]["warnings"]] == ["/api/cluster/status/gone"]
    assert shown(local, nodes, f"{LIST}/_count")["count"] == 2
    assert shown(local, nodes, f"{LIST}/{key_of(2)}")["key"] == key_of(2)
    with pytest.raises(ApiError) as refused:
        shown(local, nodes, f"{LIST}/{key_of(7)}")
    assert refused.value.status == 503
    with pytest.raises(ApiError) as refused:
        shown(local, Nodes(one=[row(2)]), f"{LIST}/{key_of(7)}")
    assert refused.value.status == 404
