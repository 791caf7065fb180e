"""Hashes, and which passwords are good enough."""

from __future__ import annotations

from typing import Any

import pytest
from argon2 import PasswordHasher, extract_parameters

import doorward.configuration
from doorward.access.passwords import LocalPasswords, hashed, matches, unmatched
from doorward.configuration.aaa import settings
from doorward.configuration.aaa.local_database import users
from doorward.host.machine import Machine
from doorward.tree.places import Place
from doorward.tree.registry import discover
from doorward.tree.snapshot import Snapshot

TREE = discover(doorward.configuration)
JANE = Place(users.PATH, "jane")


def snapshot(**policy: Any) -> Snapshot:
    place, naming = Place(settings.PATH), Place("/api/configuration/network/naming")
    defaults = TREE.defaults(Machine())
    body = defaults.value(settings.PATH)
    body = {**body, "password_policy": {**body["password_policy"], **policy} if policy.get("enabled", True) else policy}
    found = defaults.put(place, TREE.load(place, body)).put(JANE, TREE.load(JANE, {"name": "Jane.Averylongname"}))
    return found.put(naming, TREE.load(naming, {**found.value(naming.path), "hostname": "doorward-host"}))


def problems(text: str, *, earlier: list[str] | None = None, **policy: Any) -> list[str]:
    found = list(LocalPasswords().problems(snapshot(**policy), JANE, text, earlier or []))
    assert {(p.code, p.path, p.pointer) for p in found} <= {("weak_password", JANE.href, "/password")}
    return [problem.message for problem in found]


def test_what_is_compared_with_where_nobody_is_costs_as_much_and_fits_nothing() -> None:
    nothing = unmatched()
    assert extract_parameters(nothing) == extract_parameters(hashed("secret"))
    assert len(nothing) == len(hashed("secret"))
    assert not matches(nothing, "")
    assert unmatched() != nothing


def test_a_hash_is_argon2id_as_rfc_9106_recommends() -> None:
    kept = hashed("secret")
    parameters = extract_parameters(kept)
    assert kept.startswith("$argon2id$")
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (65536, 3, 4)
    assert matches(kept, "secret")
    assert not matches(kept, "Secret")
    assert LocalPasswords().hashed("secret") != kept


@pytest.mark.parametrize("kept", ["", "plain text", "$argon2id$v=19$m=65536,t=3,p=4$broken"])
def test_what_is_no_hash_matches_nothing(kept: str) -> None:
    assert not matches(kept, kept)


@pytest.mark.parametrize(
    ("text", "policy", "count"),
    [
        ("twelve-chars", {}, 0),
        ("eleven-char", {}, 1),
        ("\u00e9" * 12, {}, 0),
        ("x", {"minimum_length": 1}, 0),
        ("twelve-chars", {"minimum_length": 13}, 1),
        ("lowercaseonly", {"minimum_classes": 1}, 0),
        ("lowercaseonly", {"minimum_classes": 2}, 1),
        ("Mixedcaseonly", {"minimum_classes": 2}, 0),
        ("Mixedcase1only", {"minimum_classes": 3}, 0),
        ("Mixedcase1only", {"minimum_classes": 4}, 1),
        ("Mixed case 1 only", {"minimum_classes": 4}, 0),
        ("passwordpassword", {}, 1),
        ("PasswordPassword", {}, 1),
        ("passwordpassword", {"dictionary_check": False}, 0),
        ("jane.averylongname", {}, 1),
        ("JANE.AVERYLONGNAME", {}, 1),
        ("jane.averylongname1", {}, 0),
        ("doorward-host", {}, 1),
        ("short", {"minimum_classes": 2}, 2),
        ("password", {"minimum_classes": 2}, 3),
        ("x", {"enabled": False}, 0),
    ],
)
def test_the_policy(text: str, policy: dict[str, Any], count: int) -> None:
    assert len(problems(text, **policy)) == count


def test_the_sentences_name_what_is_needed() -> None:
    assert problems("password", minimum_classes=2) == [
        "At least 12 characters are needed.",
        "At least 2 of lower case, upper case, digits and others are needed.",
        "The password is a common one, or the name of the account or the host.",
    ]


@pytest.mark.parametrize(("remembered", "refused"), [(0, []), (1, [0]), (2, [0, 1]), (24, [0, 1, 2])])
def test_the_last_passwords_may_not_come_back(remembered: int, refused: list[int]) -> None:
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    texts = [f"earlier password {number}" for number in range(3)]
    earlier = [hasher.hash(text) for text in texts]
    found = [index for index, text in enumerate(texts) if problems(text, earlier=earlier, remembered_passwords=remembered)]
    assert found == refused


def test_the_owner_need_not_exist_yet() -> None:
    found = list(LocalPasswords().problems(snapshot(), Place(users.PATH, "nobody"), "correct horse battery", []))
    assert found == []
