"""Addresses of servers, and pins."""

from __future__ import annotations

import pytest

from doorward.client.errors import UnsendableError
from doorward.client.trust import checked_url, on_this_machine, pinned


@pytest.mark.parametrize("pin", ["", "sha256//", "sha256//AAAA", "A" * 43 + "=", "sha256//" + "A" * 44])
def test_what_is_no_pin(pin: str) -> None:
    with pytest.raises(UnsendableError, match="32 bytes in base64"):
        pinned(pin)


@pytest.mark.parametrize("url", ["https://127.0.0.1:8443", "https://[::1]:8443", "https://door.example.com", "https://x/"])
def test_addresses_of_servers(url: str) -> None:
    assert checked_url(url) == url.removesuffix("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8443",
        "127.0.0.1:8443",
        "https://",
        "https://x:99999",
        "https://[::1",
        "https://x/api",
        "https://u:p@x",
        "https://x?a",
        "",
    ],
)
def test_what_is_no_address_of_a_server(url: str) -> None:
    with pytest.raises(UnsendableError, match="must be https://HOST:PORT"):
        checked_url(url)


def test_this_machine_is_known_by_its_loopback_addresses() -> None:
    assert on_this_machine("https://127.0.0.9:1")
    assert on_this_machine("https://[::1]")
    assert on_this_machine("https://localhost:8443")
    assert not on_this_machine("https://192.0.2.1:8443")
    assert not on_this_machine("https://localhost.example.com")
