"""Which service a client gets by its address."""

from __future__ import annotations

import pytest

from doorward.host.resources import AccessRule
from doorward.listening.admission import admit


@pytest.mark.parametrize(
    ("address", "service"),
    [("10.1.2.3", "a"), ("10.9.0.1", "b"), ("192.0.2.1", "b"), ("2001:db8::1", "a"), ("2001:db9::1", None), ("127.0.0.1", None)],
)
def test_the_first_rule_counts(address: str, service: str | None) -> None:
    rules = (AccessRule("a", ("10.1.2.0/16", "2001:db8::9/64")), AccessRule("b", ("10.0.0.0/8", "192.0.2.1/32")))
    assert admit(rules, address) == service
    assert admit((*rules, AccessRule("c")), address) == (service or "c")
