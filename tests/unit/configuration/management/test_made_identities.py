"""The certificates of a first start whose clock is wrong: good for clients whose clocks are right."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509

from doorward import BUILD_DATE
from doorward.configuration.management import _identities

BUILT = dt.datetime.fromisoformat(BUILD_DATE)


@pytest.mark.parametrize("clock", [dt.datetime(1970, 1, 1, tzinfo=dt.UTC), BUILT, dt.datetime(2060, 1, 1, tzinfo=dt.UTC)])
def test_certificates_are_good_from_the_release_on_for_ten_years(clock: dt.datetime) -> None:
    for pair in _identities.made(["doorward.example.com"], clock).values():
        found = x509.load_pem_x509_certificate(pair.certificate.encode())
        assert found.not_valid_before_utc < BUILT
        assert found.not_valid_after_utc > max(BUILT, clock) + dt.timedelta(days=3600)
