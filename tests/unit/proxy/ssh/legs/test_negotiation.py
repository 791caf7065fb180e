"""What two sides agree on."""

from __future__ import annotations

import pytest
from msgspec import structs
from msgspec.structs import replace

from doorward.proxy.ssh.legs.negotiation import agree, is_wrong_guess, make_offer, read_offer
from doorward.proxy.ssh.wire.errors import ExchangeError, LegError
from tests.support.gateway import LEGACY, MODERN


def test_an_offer_is_read_as_it_was_made() -> None:
    made = make_offer(MODERN, extras=("ext-info-c",))
    assert read_offer(made.payload) == made
    assert make_offer(MODERN, extras=()).payload[1:17] != made.payload[1:17]


def test_the_first_of_the_client_that_the_server_has_is_chosen() -> None:
    client = make_offer(structs.replace(MODERN, cipher=("aes256-ctr", "aes128-gcm@openssh.com")), extras=())
    server = make_offer(MODERN, extras=())
    agreement = agree(client, server)
    assert agreement.cipher == ("aes256-ctr", "aes256-ctr")
    assert agreement.mac == ("hmac-sha2-256-etm@openssh.com",) * 2
    assert agree(server, client).mac == ("", ""), "a cipher that authenticates has no code beside"


@pytest.mark.parametrize("member", ["kex", "host_key", "cipher", "mac"])
def test_nothing_in_common_is_an_error_that_names_it(member: str) -> None:
    one = structs.replace(MODERN, cipher=("aes256-ctr",))
    other = structs.replace(one, **{member: ("another",)})
    with pytest.raises(ExchangeError, match="in common"):
        agree(make_offer(one, extras=()), make_offer(other, extras=()))


@pytest.mark.parametrize(
    ("guesses", "kex", "host_key", "expected"),
    [
        (True, MODERN.kex, MODERN.host_key, False),
        (True, MODERN.kex[1:], MODERN.host_key, True),
        (True, MODERN.kex, MODERN.host_key[1:], True),
        (False, MODERN.kex[1:], MODERN.host_key, False),
    ],
)
def test_a_guess_is_right_when_both_favourites_are_the_same(
    guesses: bool, kex: tuple[str, ...], host_key: tuple[str, ...], expected: bool
) -> None:
    peer = replace(make_offer(structs.replace(MODERN, kex=kex, host_key=host_key), extras=()), guesses=guesses)
    assert is_wrong_guess(peer, make_offer(LEGACY, extras=())) is expected


@pytest.mark.parametrize("cut", [0, 1, 16, 17, 20, 40, -1, -5])
def test_an_offer_that_is_cut_is_refused(cut: int) -> None:
    payload = make_offer(MODERN, extras=()).payload
    with pytest.raises(LegError):
        read_offer(payload[:cut] if cut else b"\x14")
