"""Descriptions: read from files and folders, cut to another node, with secrets that stay where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doorward.cli.applying import read, without_own
from doorward.cli.describe import plan
from doorward.cli.failures import Usage
from doorward.cli.outside import Outside
from doorward.configuration import x509
from doorward.configuration.management._identities import made
from tests.unit.cli.present import Memory, tree

ROOT = "/api/configuration"
SYSLOG = f"{ROOT}/management/syslog"


def test_files_are_put_together(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("configuration: {datetime: {timezone: UTC}}")
    (tmp_path / "a.json").write_text('{"configuration": {"management": {"webinterface": {"timeout": 5}}}, "node": "n"}')
    (tmp_path / ".hidden.yaml").write_text("[")
    (tmp_path / "notes.txt").write_text("[")
    found = read([tmp_path])
    assert found.node == "n"
    assert found.configuration == {"datetime": {"timezone": "UTC"}, "management": {"webinterface": {"timeout": 5}}}
    assert read([tmp_path / "b.yaml", tmp_path / "a.json"]).configuration == found.configuration


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("configuration: {datetime: {timezone: UTC}}", "configuration: {datetime: {timezone: Asia/Tokyo}}", "datetime/timezone"),
        (
            "configuration: {datetime: {ntp_servers: []}}",
            "configuration: {datetime: {ntp_servers: [{}]}}",
            "datetime/ntp_servers",
        ),
        ("configuration: {}\nnode: a", "configuration: {}\nnode: b", "of different nodes"),
        ("configuration: {}\nnode: [a]", "configuration: {}", "id of a node"),
    ],
)
def test_files_that_contradict_each_other(tmp_path: Path, one: str, other: str, said: str) -> None:
    (tmp_path / "a.yaml").write_text(one)
    (tmp_path / "b.yaml").write_text(other)
    with pytest.raises(Usage, match=said):
        read([tmp_path])


def test_a_folder_without_descriptions(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="holds no file"):
        read([tmp_path])


def test_names_of_files_are_relative_to_the_description(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("configuration: {aaa: {local_database: {users: {jane: {password: {from_file: pw}}}}}}")
    found = read([tmp_path / "a.yaml"]).configuration
    assert found["aaa"]["local_database"]["users"]["jane"]["password"] == {"from_file": str(tmp_path / "pw")}


def test_what_belongs_to_one_node_is_left_out() -> None:
    described = {"network": {"naming": {}, "nics": {"nic1": {}}}, "datetime": {"timezone": "UTC"}, "nothing": 1}
    kept, left = without_own(tree(), described)
    assert kept == {"network": {"nics": {}}, "datetime": {"timezone": "UTC"}, "nothing": 1}
    assert left == [f"{ROOT}/network/naming", f"{ROOT}/network/nics/nic1"]


def receiver(number: int, check: Any, **more: Any) -> dict[str, Any]:
    tls = {"client_authentication": {"enabled": False}, "selection": "tls"}
    ca = {"enabled": True, "server_certificate_ca": check}
    address = {"selection": "ip", "value": f"192.0.2.{number}"}
    return {
        "address": address,
        "message_format": "rfc5424",
        "port": 6514,
        "transport": {**tls, "server_certificate_check": ca},
        **more,
    }


class Certified(Memory):
    """A configuration in memory with a certificate, that of two receivers of log records."""

    certificate = x509.make(made(["a.example.com"])["ca"].model_copy(update={"private_key": None}))[0]

    def value(self, path: str) -> Any:
        return self.certificate if path == f"{x509.PATH}/c1" else super().value(path)


def requested(described: Any) -> list[tuple[str, str, Any]]:
    memory = Certified.fresh()
    expanded = {"key": "c1", "meta": {"href": f"{x509.PATH}/c1"}}
    memory.values[SYSLOG] = {"receivers": [receiver(1, expanded), receiver(2, "c1")]}
    found = plan(tree(), memory, {"management": {"syslog": {"receivers": described}}})
    assert found.problems == ()
    return [
        (request.method, request.path, request.value.described if isinstance(request.value, Outside) else None)
        for request in found.requests
    ]


WHOLE = {"certificate": Certified.certificate["certificate"]}
POINTED = {"from_env": "CA"}


def test_a_certificate_is_known_by_what_it_says() -> None:
    assert requested([receiver(1, WHOLE), receiver(2, WHOLE)]) == []
    assert requested([receiver(2, WHOLE)]) == [("PUT", SYSLOG, None)], "wherever it stands"
    other = {"certificate": made(["b.example.com"])["ca"].certificate}
    assert requested([receiver(1, other), receiver(2, WHOLE)]) == [("POST", x509.PATH, other), ("PUT", SYSLOG, None)]


def test_a_secret_in_a_list_stays_with_its_element() -> None:
    assert requested([receiver(1, POINTED), receiver(2, POINTED)]) == []
    moved = requested([receiver(3, POINTED), receiver(2, POINTED)])
    assert moved == [("POST", x509.PATH, POINTED), ("PUT", SYSLOG, None)], "it may be meant for that server only"
    longer = requested([receiver(1, POINTED), receiver(2, POINTED), receiver(3, POINTED)])
    assert longer == [("POST", x509.PATH, POINTED), ("PUT", SYSLOG, None)]
