"""Tokens: found by their text alone, limited, ended by time and with their account, through restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from doorward.access import tokens as module
from doorward.access.accounts import Account
from doorward.access.rights import Rights
from doorward.access.tokens import TokenRequest, Tokens, TooManyTokensError, token_in
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault

WANTED = TokenRequest("of a test", 2, "own", (), ())
JANE = Account("7", "jane", Rights(readable=frozenset({"/special/basic"})), "password-1")


class Office:
    """Tokens with an account that tests change, and a time that they set."""

    def __init__(self, directory: Path) -> None:
        self.store = SqliteStore(directory / "doorward.db", Vault.at(directory / "data.key", create=True))
        self.account: Account | None = JANE
        self.now = datetime(2026, 11, 30, tzinfo=UTC)
        self.tokens = self.opened()

    def opened(self) -> Tokens:
        return Tokens(self.store, lambda key: self.account if key == JANE.key else None, lambda: self.now)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_token_is_found_by_its_text_and_nothing_else(office: Office) -> None:
    token, text = office.tokens.make(JANE, WANTED)
    found = office.tokens.find(text, "192.0.2.1")
    assert found is not None
    assert found.token == token
    for other in ("", text[:-1], text + "x", text.upper(), token.digest, token.id, "dw_" + "\udce9" * 43):
        assert office.tokens.find(other, "192.0.2.1") is None
    kept = repr(office.store.records("token")) + repr(vars(office.tokens)) + repr(token)
    assert text not in kept
    assert token.digest not in repr(token)


def test_a_token_ends_by_time_at_the_very_second(office: Office) -> None:
    _, text = office.tokens.make(JANE, WANTED)
    office.now += timedelta(days=2, seconds=-1)
    grant = office.tokens.find(text, "::1")
    assert grant is not None
    assert grant.limited(JANE.rights) == JANE.rights
    office.now += timedelta(seconds=1)
    assert not grant.is_live
    assert grant.limited(JANE.rights) == Rights()
    assert office.tokens.find(text, "::1") is None
    office.tokens.prune()
    assert office.store.records("token") == []


@pytest.mark.parametrize(
    "after", [None, Account("7", "joan", JANE.rights, "password-1"), Account("7", "jane", JANE.rights, "password-2")]
)
def test_a_token_ends_with_what_its_account_was(office: Office, after: Account | None) -> None:
    _, text = office.tokens.make(JANE, WANTED)
    office.account = after
    assert office.tokens.find(text, "::1") is None
    office.tokens.prune()
    office.account = JANE
    assert office.opened().find(text, "::1") is None, "it came back with the account"


def test_the_last_use_is_kept_and_does_not_bring_an_ended_token_back(office: Office) -> None:
    first, text = office.tokens.make(JANE, WANTED)
    second, other = office.tokens.make(JANE, WANTED)
    third, _ = office.tokens.make(JANE, WANTED)
    office.now += timedelta(hours=1)
    for one in (text, other):
        assert office.tokens.find(one, "::1") is not None
    office.tokens.remove(second)
    office.tokens.write_uses()
    again = office.opened()
    assert [(token.id, token.used) for token in again.all()] == [(third.id, None), (first.id, "2026-11-30T01:00:00Z")]
    assert again.find(text, "::1") is not None
    assert again.find(other, "::1") is None


def test_networks_take_addresses_in_every_spelling(office: Office) -> None:
    _, text = office.tokens.make(JANE, TokenRequest("x", 1, "own", (), ("192.0.2.0/24", "fe80::/10")))
    for address in ("192.0.2.7", "::ffff:192.0.2.7", "fe80::1%eth0"):
        assert office.tokens.find(text, address) is not None, address
    for address in ("192.0.3.7", "::1", "", "nonsense"):
        assert office.tokens.find(text, address) is None, address


def test_an_account_has_so_many_tokens_at_most(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OF_ONE_ACCOUNT", 2)
    made = [office.tokens.make(JANE, WANTED) for _ in range(2)]
    with pytest.raises(TooManyTokensError):
        office.tokens.make(JANE, WANTED)
    office.tokens.remove(made[0][0])
    office.tokens.make(JANE, WANTED)


def test_limits_of_paths_hold_for_whoever_may_everything() -> None:
    rights = Rights(everything=True).limited(("/api/configuration/datetime",))
    assert not rights.everything
    assert rights.may_write("/special/basic", "/api/configuration/datetime/timezone")
    assert not rights.may_read("/special/basic", "/api/configuration/datetimes")
    assert not rights.may_read("/special/auth", "/api/configuration/aaa")
    assert Rights(everything=True).covers(rights)
    assert not rights.covers(JANE.rights)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Bearer dw_x", "dw_x"), ("bearer  dw_x ", "dw_x"), ("Bearer x", None), ("Basic dw_x", None), ("", None),
        ("Bearer", None), ("dw_x", None),
    ],
)  # fmt: skip
def test_only_tokens_of_ours_are_read(header: str, found: str | None) -> None:
    assert token_in(header) == found
