"""Every TLS context of ours speaks TLS 1.2 and later, and of 1.2 the AEAD suites alone (amendment 16)."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from doorward.cli import identity
from doorward.cluster.keys import NodeKey
from doorward.cluster.pins import Pins, client_context, unverified_context
from doorward.configuration.management import syslog
from doorward.events import tls as client_tls
from doorward.listening import tls as server_tls
from doorward.tree.models import Off
from tests.support.pki import Authority
from tests.unit.cluster.test_keys import NODE_ID as NODE
from tests.unit.events.parts import snapshot

SOURCES = Path(server_tls.__file__).parents[1]
MADE_HERE = {"cluster/pins.py", "host/tls.py", "listening/tls.py"}
"""Where contexts are made; ``listening/tls.py`` makes one to visit itself too, ``host/tls.py`` one to look at an identity."""


def of_the_server(_folder: Path) -> ssl.SSLContext:
    identity = Authority().identity("server")
    return server_tls.context(identity.certificate, identity.private_key)


def of_clients(_folder: Path) -> ssl.SSLContext:
    off = Off(enabled=False)
    block = syslog.Tls(selection="tls", client_authentication=off, server_certificate_check=off)
    return client_tls.context(snapshot(), block, lambda _key: None)


def of_the_command_line(_folder: Path) -> ssl.SSLContext:
    return identity.trusting(None, None)


def of_the_channel(folder: Path) -> ssl.SSLContext:
    return Pins(NodeKey.at(folder, NODE)).context.present


def of_its_clients(folder: Path) -> ssl.SSLContext:
    key = NodeKey.at(folder, NODE)
    return client_context(key, key.certificate)


def of_pairing(_folder: Path) -> ssl.SSLContext:
    return unverified_context()


@pytest.mark.parametrize(
    "made",
    [of_the_server, of_clients, of_the_command_line, of_the_channel, of_its_clients, of_pairing],
    ids=lambda one: one.__name__,
)
def test_no_suite_but_aead_is_spoken(made: Callable[[Path], ssl.SSLContext], tmp_path: Path) -> None:
    context = made(tmp_path)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    if context.minimum_version == ssl.TLSVersion.TLSv1_2:
        assert all(suite["aead"] for suite in context.get_ciphers()), context.get_ciphers()
        assert any(suite["protocol"] == "TLSv1.2" for suite in context.get_ciphers())


def test_these_are_all_contexts() -> None:
    making = re.compile(r"ssl\.(SSLContext\(|create_default_context|_create_unverified|wrap_socket)|super\(\)\.wrap_bio")
    found = {str(file.relative_to(SOURCES)) for file in SOURCES.rglob("*.py") if making.search(file.read_text())}
    assert found == MADE_HERE
