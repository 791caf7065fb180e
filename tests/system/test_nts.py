"""Time servers that authenticate themselves by NTS: real chronyds as servers, and one that has to believe them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.pki import Authority, Identity
from tests.support.server import Server, until
from tests.system.chrony_support import time_server
from tests.system.curl import NTP, Curl, ip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("nts")

X509 = "/api/configuration/x509"
TRUSTED, STRANGER = Authority("Authority of the time servers"), Authority("Somebody else's authority")
GOOD, FOREIGN, ENDED, MISNAMED, PLAIN = (f"127.0.0.{number}" for number in range(61, 66))
SERVERS: dict[str, Identity | None] = {
    GOOD: TRUSTED.identity("time", GOOD),
    FOREIGN: STRANGER.identity("time", FOREIGN),
    ENDED: TRUSTED.identity("time", ENDED, has_ended=True),
    MISNAMED: TRUSTED.identity("time", "192.0.2.1"),
    PLAIN: None,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with ExitStack() as stack:
        for address, identity in SERVERS.items():
            stack.enter_context(time_server(tmp_path_factory.mktemp("served") / "time", address, identity))
        yield


def authority(curl: Curl, pem: str) -> str:
    """Have an authority in the configuration; its key."""
    made = curl("POST", X509, {"certificate": pem})
    assert made.status == 201, made.text
    return str(made.json["key"])


def sources(curl: Curl) -> dict[str, Any]:
    return {source["value"]: source for source in curl.get("/api/time_status")["sources"]}


@pytest.mark.usefixtures("served")
def test_only_authenticated_answers_count_and_each_failure_has_its_reason(fresh: Server, tmp_path: Path) -> None:
    curl = Curl(fresh, tmp_path)
    curl.log_in()
    key = authority(curl, TRUSTED.pem)
    secured = [{**entry, "nts": True, "server_certificate_ca": key} for entry in ip(*SERVERS)]
    assert curl("PUT", NTP, secured).status == 200
    assert curl.commit().status == 200

    until(lambda: (sources(curl)[GOOD].get("nts") or {}).get("is_authenticated"), what="keys with the good server")
    until(lambda: sources(curl)[GOOD]["state"] == "selected", what="the good server selected")
    wanted = {
        FOREIGN: "certificate_untrusted", ENDED: "certificate_expired", MISNAMED: "certificate_name",
        PLAIN: "key_exchange_unreachable",
    }  # fmt: skip
    until(lambda: all(sources(curl)[address]["nts"]["reason"] == reason for address, reason in wanted.items()), what="reasons")
    found = sources(curl)
    assert (found[GOOD]["nts"]["reason"], found[GOOD]["nts"]["key_bits"]) == (None, 256)
    for address in wanted:
        assert not found[address]["nts"]["is_authenticated"]
        assert found[address]["nts"]["message"].endswith(".")
        assert (found[address]["reachability"], found[address]["state"]) == (0, "unreachable"), "plain answers count for nothing"

    # Another authority for the same entry ends what was agreed under the old one.
    other = authority(curl, STRANGER.pem)
    curl("PUT", NTP, [{**ip(GOOD)[0], "nts": True, "server_certificate_ca": other}])
    assert {"action": "restart chronyd", "effect": "restart", "path": NTP} in curl.get("/api/transaction/plan")["actions"]
    assert curl.commit().status == 200
    until(lambda: (sources(curl)[GOOD].get("nts") or {}).get("reason") == "certificate_untrusted", what="the new one counts")
    assert not sources(curl)[GOOD]["nts"]["is_authenticated"]

    # The same server without NTS is believed, and nothing of the authority is left on the host.
    curl("PUT", NTP, ip(GOOD))
    assert curl.commit().status == 200
    until(lambda: sources(curl)[GOOD]["state"] == "selected", what="the server without NTS")
    assert "nts" not in sources(curl)[GOOD]
    assert list((fresh.state / "root/etc/chrony").glob("doorward-nts-*")) == []


def test_a_system_authority_a_contradiction_and_an_edit_by_hand(fresh: Server, tmp_path: Path) -> None:
    curl = Curl(fresh, tmp_path)
    curl.log_in()
    refused = curl("PUT", NTP, [{**ip(GOOD)[0], "server_certificate_ca": authority(curl, TRUSTED.pem)}])
    assert refused.status == 400
    assert [(one["code"], one["pointer"]) for one in refused.error["details"]["errors"]] == [
        ("contradiction", "/0/server_certificate_ca")
    ]
    curl("PUT", NTP, [{**ip(GOOD)[0], "nts": True}])
    done = curl.commit()
    assert "few_time_sources" in [warning["code"] for warning in done.json["meta"]["warnings"]]
    file = fresh.state / "root/etc/chrony/sources.d/doorward.sources"
    assert file.read_text() == f"server {GOOD} iburst nts\n"
    file.write_text(f"server {GOOD} iburst\nserver {PLAIN} iburst nts\n")
    until(lambda: curl("GET", "/api/drift").json["drift"], what="the drift is seen")
    assert curl("POST", "/api/drift/adopt").status == 200
    assert curl.get(NTP) == [ip(GOOD)[0], {**ip(PLAIN)[0], "nts": True}]
