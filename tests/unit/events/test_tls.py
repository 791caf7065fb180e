"""TLS as a client by the configuration: an authority may be an intermediate, for mail and syslog as for the command line."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from doorward.cli.identity import trusting
from doorward.configuration import x509
from doorward.configuration.management import syslog
from doorward.events.tls import context
from doorward.tree.places import Place
from tests.unit.events.parts import snapshot
from tests.unit.host.test_tls import CHAIN, STRANGER, shaken
from tests.unit.transaction.rig import TREE

if TYPE_CHECKING:
    from pathlib import Path


def by_configuration(authority: str) -> ssl.SSLContext:
    body, _ = x509.make(x509.NewCertificate(certificate=authority))
    made = snapshot().put(Place(x509.PATH, "ca"), TREE.load(Place(x509.PATH, "ca"), body))
    block = syslog.Tls.model_validate(
        {
            "selection": "tls",
            "server_certificate_check": {"enabled": True, "server_certificate_ca": "ca"},
            "client_authentication": {"enabled": False},
        }
    )
    return context(made, block, lambda _key: None)


def test_an_intermediate_is_an_authority(tmp_path: Path) -> None:
    for authority in (CHAIN.root, CHAIN.intermediate, CHAIN.intermediate + CHAIN.root):
        shaken(by_configuration(authority))
        (tmp_path / "ca.pem").write_text(authority)
        shaken(trusting(tmp_path / "ca.pem", None))
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(by_configuration(STRANGER.intermediate))
