"""Secrets that a description only points at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.cli.outside import NotFoundError, Outside, beside, body, in_clear, meant, problem

if TYPE_CHECKING:
    from pathlib import Path

PASSWORDS, KEYS, CERTIFICATES = (f"/api/configuration/{name}" for name in ("passwords", "private_keys", "x509"))


@pytest.mark.parametrize(
    ("store", "described", "posted"),
    [
        (PASSWORDS, {"from_env": "SECRET"}, {"plain": "of the environment"}),
        (PASSWORDS, {"from_file": "a.txt"}, {"plain": " first\nsecond "}),
        (KEYS, {"from_file": "a.txt"}, {"private_key": " first\nsecond \n"}),
        (KEYS, {"generate": "ed25519"}, {"generate": {"selection": "ed25519"}}),
        (CERTIFICATES, {"from_file": "a.txt"}, {"certificate": " first\nsecond \n"}),
        (
            CERTIFICATES,
            {"from_file": "a.txt", "private_key_file": "b.txt"},
            {"certificate": " first\nsecond \n", "private_key": "b"},
        ),
        (PASSWORDS, {"plain": "as it is\n"}, {"plain": "as it is\n"}),
        (
            CERTIFICATES,
            {"certificate": "PEM", "private_key_env": "SECRET"},
            {"certificate": "PEM", "private_key": "of the environment"},
        ),
    ],
)
def test_what_is_posted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, described: Any, posted: Any) -> None:
    monkeypatch.setenv("SECRET", "of the environment")
    (tmp_path / "a.txt").write_text(" first\nsecond \n")
    (tmp_path / "b.txt").write_text("b")
    assert meant(described)
    assert problem(store, described) is None
    assert body(Outside(store, beside(described, tmp_path))) == posted


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"from_env": "NOT_SET"}, "The environment has no NOT_SET"),
        ({"from_file": "missing"}, "No such file"),
        ({"from_file": "latin"}, "is not UTF-8"),
    ],
)
def test_what_can_not_be_read(tmp_path: Path, described: dict[str, str], said: str) -> None:
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(NotFoundError, match=said):
        body(Outside(PASSWORDS, beside(described, tmp_path)))


@pytest.mark.parametrize(
    ("store", "described", "said"),
    [
        ("/api/configuration/aaa/local_database/users", {"from_env": "A"}, "Only passwords"),
        (PASSWORDS, {"generate": "ed25519"}, "generate is not known here"),
        (KEYS, {"from_file": "a", "private_key_file": "b"}, "private_key_file is not known here"),
        (KEYS, {"from_file": "a", "generate": "ed25519"}, "Exactly one source"),
        (PASSWORDS, {"plain": "x", "from_env": "A"}, "Exactly one source"),
        (PASSWORDS, {"certificate": "PEM"}, "certificate is not known here"),
        (CERTIFICATES, {"from_file": "a", "private_key_file": "b", "private_key_env": "B"}, "Exactly one source"),
        (PASSWORDS, {"from_env": 1}, "Must be texts"),
        (PASSWORDS, {"from_env": "A", "change": "sometimes"}, "always or never"),
    ],
)
def test_what_is_wrong_with_a_description(store: str, described: Any, said: str) -> None:
    assert said in str(problem(store, described))


def test_other_mappings_are_none() -> None:
    assert not meant({"key": "k", "meta": {"href": "x"}})


def test_secrets_in_clear_are_known() -> None:
    assert in_clear([{"password": {"plain": "x"}}])
    assert not in_clear({"password": {"from_env": "X"}, "plain_http": True, "list": [{"plainly": 1}]})
