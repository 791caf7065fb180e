"""The first settings of a node: what the answers become, and where in them something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.configuration._setup import FirstSettings, Network
from doorward.transaction.pipeline import ApplyFailed
from doorward.transaction.setup import AlreadySetUpError, _asked_at, _with_address, awaited, set_up
from doorward.tree.problems import Problem, SemanticError
from tests.unit.configuration.material import PSS, made_by_openssl
from tests.unit.transaction.rig import GOOD_PASSWORD, SERVERS, USERS, ZONE, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NETWORK = {"domainname": "example.com", "hostname": "doorward1", "initial_address": "192.0.2.5/24"}
FOUND: dict[str, Any] = {
    "@order": ["a", "b"],
    "a": {"addresses": {"@order": ["x", "y"], "x": "10.0.0.1/8", "y": "10.0.0.2/8"}, "name": "one", "vlantag": 7},
    "b": {"addresses": {"@order": []}, "name": "two", "vlantag": 0},
}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A node that waits."""
    made = Rig(tmp_path, password=None).started()
    yield made
    made.close()


def answers(password: str = GOOD_PASSWORD, **blocks: Any) -> FirstSettings:
    return FirstSettings(accept_eula=True, administration={"admin_password": password}, **blocks)  # type: ignore[arg-type]


def test_a_node_waits_until_admin_has_a_password(rig: Rig) -> None:
    assert awaited(rig.pipeline.running)
    set_up(rig.pipeline, answers(), "192.0.2.9")
    assert not awaited(rig.pipeline.running)
    again = rig.restarted()
    assert not awaited(again.pipeline.running)
    again.close()


def test_a_node_is_set_up_once(rig: Rig) -> None:
    set_up(rig.pipeline, answers(), "192.0.2.9")
    password = rig.value(USERS, "-1")["password"]
    with pytest.raises(AlreadySetUpError):
        set_up(rig.pipeline, answers("another good password"), "192.0.2.9")
    assert rig.value(USERS, "-1")["password"] == password


def test_blocks_that_are_left_out_leave_what_is_there(rig: Rig) -> None:
    before = {path: rig.value(path) for path in (SERVERS, ZONE, "network/nics/nic1", "management/email")}
    set_up(rig.pipeline, answers(), "192.0.2.9")
    assert {path: rig.value(path) for path in before} == before
    assert rig.store.revision(2) is not None


def test_what_is_refused_leaves_the_node_waiting(rig: Rig) -> None:
    with pytest.raises(SemanticError) as caught:
        set_up(rig.pipeline, answers("short", datetime={"timezone": "Asia/Kathmandu"}), "192.0.2.9")
    assert {(p.code, p.pointer, p.path) for p in caught.value.problems} == {
        ("weak_password", "/administration/admin_password", "/api/setup")
    }
    assert awaited(rig.pipeline.running)
    assert rig.number == 1


def test_a_certificate_that_nobody_can_be_shown_leaves_the_node_waiting(rig: Rig) -> None:
    certificate, key = made_by_openssl(*PSS)
    webserver: Any = {"certificate": certificate, "private_key": key}
    with pytest.raises(SemanticError) as caught:
        set_up(rig.pipeline, answers(certificates={"webserver": webserver}), "192.0.2.9")
    assert {(p.code, p.pointer, p.path) for p in caught.value.problems} == {
        ("unsuitable", "/certificates/webserver/certificate", "/api/setup")
    }
    assert awaited(rig.pipeline.running)


def test_what_the_host_refuses_leaves_the_node_waiting(rig: Rig) -> None:
    rig.host.fail_at = 0
    with pytest.raises(ApplyFailed):
        set_up(rig.pipeline, answers(datetime={"timezone": "Asia/Kathmandu"}), "192.0.2.9")
    assert awaited(rig.pipeline.running)
    assert rig.value(USERS, "-1")["password"] is None
    rig.host.fail_at = None
    set_up(rig.pipeline, answers(datetime={"timezone": "Asia/Kathmandu"}), "192.0.2.9")
    assert rig.value(ZONE) == "Asia/Kathmandu"


def test_the_address_takes_the_place_of_the_first_one(rig: Rig) -> None:
    nic = {"interfaces": FOUND, "name": "eth0", "speed": "auto"}
    made = _with_address(nic, Network(**NETWORK))  # type: ignore[arg-type]
    first = {**FOUND["a"], "addresses": {"@order": ["x", "y"], "x": "192.0.2.5/24", "y": "10.0.0.2/8"}}
    assert made == {**nic, "interfaces": {**FOUND, "a": first}}
    tagged = _with_address(nic, Network(**NETWORK, vlantag=0))
    assert tagged["interfaces"]["a"]["vlantag"] == 0


@pytest.mark.parametrize(
    "interfaces", [{"@order": []}, {"@order": ["a"], "a": {"addresses": {"@order": []}, "name": "x", "vlantag": 3}}]
)
def test_a_nic_without_address_gets_one(interfaces: dict[str, Any]) -> None:
    made = _with_address({"interfaces": interfaces, "name": "eth0"}, Network(**NETWORK))["interfaces"]  # type: ignore[arg-type]
    [interface] = made["@order"]
    [address] = made[interface]["addresses"]["@order"]
    assert made[interface]["addresses"][address] == "192.0.2.5/24"
    assert made.keys() == {"@order", interface}


@pytest.mark.parametrize(("at", "found"), [("", "/x"), ("/server", "/x/y"), ("/server/value", "/x/y"), ("/servers", "/x")])
def test_a_place_is_led_back_to_the_answers(at: str, found: str) -> None:
    problem = _asked_at({"": "/x", "/server": "/x/y"}, Problem("format", "Bad.", at, "/api/configuration/z"))
    assert (problem.pointer, problem.path) == (found, "/api/setup")
