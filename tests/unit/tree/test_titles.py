"""Titles: what people read in place of the names of members and values."""

from __future__ import annotations

import pytest

from doorward.tree.titles import WORDS, title_of


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("server_certificate_ca", "Server certificate CA"),
        ("nts", "NTS"),
        ("ip", "IP address"),
        ("ip_forwarding_rule_pairs", "IP forwarding rule pairs"),
        ("smtp_auth", "SMTP authentication"),
        ("bind_dn", "Bind DN"),
        ("maximum_load15", "Maximum load (15 minutes)"),
        ("x509_identity", "X.509 identity"),
        ("session-exec-scp", "SCP"),
        ("Mon", "Monday"),
        ("retention_days", "Retention days"),
        ("_available", "Available"),
    ],
)
def test_names_become_titles(name: str, title: str) -> None:
    assert title_of(name) == title


def test_no_word_is_there_for_nothing() -> None:
    assert [word for word, shown in WORDS.items() if word == shown] == []
