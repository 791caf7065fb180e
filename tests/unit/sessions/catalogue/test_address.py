"""Addresses of the catalogue: what is refused, and that no password shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorward.sessions.catalogue.address import CREDENTIAL, AddressError, parsed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mysql://db/doorward", "postgresql://"),
        ("postgresql://db.example.com", "names no database"),
        ("postgresql://u:secret@db.example.com/doorward", "lists of processes"),
        ("postgresql://db.example.com/doorward?password=secret", "lists of processes"),
        ("postgresql://db.example.com/doorward?options=-cfsync%3Doff", "not known: options"),
        ("postgresql://db.example.com/doorward?sslmode=require", "verify-full, not require"),
        ("postgresql://127.0.0.1,db.example.com/doorward?sslmode=prefer", "verify-full"),
        ("postgresql://db.example.com/doorward?secret", "can't be understood"),
    ],
)
def test_an_address_is_refused(text: str, why: str) -> None:
    with pytest.raises(AddressError, match=why) as caught:
        parsed(text)
    assert "secret" not in str(caught.value)


def test_another_host_is_reached_by_tls_alone() -> None:
    given = dict(parsed("postgresql://doorward@db.example.com:5433/sessions").parameters)
    assert (given["sslmode"], given["sslrootcert"], given["port"]) == ("verify-full", "system", "5433")
    assert "sslmode" not in dict(parsed("postgresql:///sessions?host=/run/postgresql").parameters)
    assert "sslmode" not in dict(parsed("postgresql://[::1]/sessions").parameters)


def test_the_password_is_that_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "password"
    address = parsed("postgresql:///sessions", path)
    with pytest.raises(AddressError, match="No such file"):
        address.connection_options()
    path.write_text("one\n")
    path.chmod(0o644)
    with pytest.raises(AddressError, match="open to everybody"):
        address.connection_options()
    path.chmod(0o600)
    assert address.connection_options()["password"] == "one"
    path.write_text("other")
    assert address.connection_options()["password"] == "other"
    assert "other" not in repr(address)
    path.write_text("\n")
    with pytest.raises(AddressError, match="no password"):
        address.connection_options()


def test_a_credential_of_systemd_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert parsed("postgresql:///sessions").password_file is None
    (tmp_path / CREDENTIAL).write_text("secret")
    (tmp_path / CREDENTIAL).chmod(0o400)
    assert parsed("postgresql:///sessions").connection_options()["password"] == "secret"
