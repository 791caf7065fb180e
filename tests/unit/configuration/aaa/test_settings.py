"""Login settings: what may be set, what is the default of what is left out."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.tree.problems import InvalidBody
from doorward.tree.validation import check
from tests.unit.transaction.rig import ROOT, TREE, Rig

SETTINGS = "aaa/settings"
NODE: Any = TREE[ROOT + SETTINGS].node
DEFAULT: dict[str, Any] = {
    "bruteforce_protection": {"block_seconds": 300, "enabled": True, "failures": 10, "window_seconds": 60},
    "password_policy": {
        "dictionary_check": True, "enabled": True, "expiration_days": None, "minimum_classes": 1, "minimum_length": 12,
        "remembered_passwords": 0,
    },
}  # fmt: skip
LIMITS = {
    "bruteforce_protection": {"block_seconds": (1, 86400), "failures": (1, 1000), "window_seconds": (1, 3600)},
    "password_policy": {
        "expiration_days": (1, 3650), "minimum_classes": (1, 4), "minimum_length": (1, 150), "remembered_passwords": (0, 24),
    },
}  # fmt: skip
NUMBERS = [(block, member, *limits) for block, members in LIMITS.items() for member, limits in members.items()]


def stored(value: Any) -> Any:
    return NODE.adapter.dump_python(check(NODE.adapter, value).model, mode="json")


def problems(value: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidBody) as caught:
        check(NODE.adapter, value)
    return [(problem.code, problem.pointer) for problem in caught.value.problems]


def test_the_figures_of_a_fresh_appliance(rig: Rig) -> None:
    assert rig.value(SETTINGS) == DEFAULT


@pytest.mark.parametrize("value", [{}, {"password_policy": {"enabled": True}}, {"bruteforce_protection": {"enabled": True}}])
def test_what_is_left_out_takes_its_default(rig: Rig, value: Any) -> None:
    other = {"bruteforce_protection": {"enabled": True, "failures": 3}, "password_policy": {"enabled": False}}
    rig.committed((SETTINGS, other))
    assert rig.value(SETTINGS) == {
        "bruteforce_protection": DEFAULT["bruteforce_protection"] | {"failures": 3},
        "password_policy": {"enabled": False},
    }
    rig.committed((SETTINGS, value))
    assert rig.value(SETTINGS) == DEFAULT


@pytest.mark.parametrize("block", DEFAULT)
def test_a_block_that_is_off_hides_the_rest(block: str) -> None:
    checked = check(NODE.adapter, {block: {**DEFAULT[block], "enabled": False}}, strict=True)
    hidden = sorted(("hidden_member", f"/{block}/{name}") for name in DEFAULT[block] if name != "enabled")
    assert sorted((warning.code, warning.pointer) for warning in checked.warnings) == hidden
    assert NODE.adapter.dump_python(checked.model, mode="json") == {**DEFAULT, block: {"enabled": False}}


@pytest.mark.parametrize(("block", "member", "least", "most"), NUMBERS)
def test_numbers_have_limits(block: str, member: str, least: int, most: int) -> None:
    for good in (least, most):
        assert stored({block: {"enabled": True, member: good}})[block][member] == good
    for bad in (least - 1, most + 1):
        assert problems({block: {"enabled": True, member: bad}}) == [("range", f"/{block}/{member}")]
    for wrong in (str(least), float(least), True, [least], {"value": least}):
        assert problems({block: {"enabled": True, member: wrong}}) == [("type", f"/{block}/{member}")]


@pytest.mark.parametrize(("block", "member"), [(block, member) for block, member, _, _ in NUMBERS if member != "expiration_days"])
def test_only_the_expiration_may_be_unset(block: str, member: str) -> None:
    assert problems({block: {"enabled": True, member: None}}) == [("type", f"/{block}/{member}")]
    assert stored({"password_policy": {"enabled": True, "expiration_days": None}}) == DEFAULT


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"password_policy": {}}, [("missing", "/password_policy/enabled")]),
        ({"password_policy": {"minimum_length": 3}}, [("missing", "/password_policy/enabled")]),
        ({"password_policy": {"enabled": 1}}, [("type", "/password_policy/enabled")]),
        ({"password_policy": {"enabled": True, "dictionary_check": 0}}, [("type", "/password_policy/dictionary_check")]),
        ({"password_policy": None}, [("type", "/password_policy")]),
        ({"bruteforce_protection": False}, [("type", "/bruteforce_protection")]),
        ([], [("type", "")]),
        (
            {
                "bruteforce_protection": {"enabled": True, "failures": 0},
                "password_policy": {"enabled": True, "minimum_classes": 5},
            },
            [("range", "/bruteforce_protection/failures"), ("range", "/password_policy/minimum_classes")],
        ),
    ],
)
def test_wrong_bodies(value: Any, found: list[tuple[str, str]]) -> None:
    assert problems(value) == found
