"""A certificate that is to be shown needs its private key here: mail server and syslog receivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.tree.problems import SemanticError
from tests.support.pki import Authority
from tests.unit.configuration.management.samples import RECEIVER
from tests.unit.transaction.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER = {"selection": "ip", "value": "192.0.2.25"}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path).started()
    yield made
    made.close()


def identity() -> dict[str, str]:
    made = Authority().identity("doorward")
    return {"certificate": made.certificate, "private_key": made.private_key}


def block(key: str) -> dict[str, Any]:
    return {"client_authentication": {"enabled": True, "x509_identity": key}}


def bodies(key: str) -> list[tuple[str, Any, str]]:
    transport = {"selection": "tls", **block(key)}
    mail = {"smtp_encryption": {"selection": "tls", **block(key)}, "smtp_server": SERVER}
    other = {**RECEIVER, "transport": {"selection": "udp"}}
    return [
        ("management/email", mail, "/smtp_encryption/client_authentication/x509_identity"),
        (
            "management/syslog",
            {"receivers": [other, {**RECEIVER, "transport": transport}]},
            "/receivers/1/transport/client_authentication/x509_identity",
        ),
    ]


@pytest.mark.parametrize("index", [0, 1])
def test_only_a_certificate_with_its_key_can_be_shown(rig: Rig, index: int) -> None:
    candidate = rig.candidate()
    bare = rig.post(candidate, "x509", {"certificate": identity()["certificate"]})
    path, value, at = bodies(bare)[index]
    rig.put(candidate, path, value)
    with pytest.raises(SemanticError) as caught:
        rig.commit(candidate)
    assert [(p.code, p.pointer) for p in caught.value.problems] == [("unsuitable", at)]
    whole = rig.post(candidate, "x509", identity())
    rig.put(candidate, path, bodies(whole)[index][1])
    rig.commit(candidate)


def test_a_certificate_may_be_shown_at_both_places(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, "x509", identity())
    for path, value, _ in bodies(key):
        rig.put(candidate, path, value)
    rig.commit(candidate)
    assert rig.secrets.text(key) is not None
