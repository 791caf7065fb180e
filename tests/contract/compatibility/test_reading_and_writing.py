"""What real clients need of reading and writing: numbers 45 to 57 of the list."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.configuration.network._addresses import first_addresses
from doorward.host.machine import Machine
from tests.contract.walk import configuration, endpoint_of, everything, supported
from tests.contract.wire import ACCOUNTING, GROUPS, NTP, TRANSACTION, USERS, WEB, ZONE, Caller, check_shape
from tests.unit.configuration.ssh.samples import RADIUS, SETTINGS, rule

ACLS = "/api/configuration/aaa/acls"
AUDIT = "/api/configuration/policies/audit_policies"
EMAIL = "/api/configuration/management/email"
TIMES = "/api/configuration/policies/time_policies"
SSH = [f"/api/configuration/ssh/{name}_policies" for name in ("authentication", "channel", "settings")]
STRICT = {"Prefer": "handling=strict"}
PROTOCOLS = ("http", "ica", "rdp", "ssh", "telnet", "vnc")


def test_45_singletons_have_a_body_and_containers_items(admin: Caller) -> None:
    for path in configuration(admin):
        answer = admin.get(path)
        if answer.status == 405:
            continue
        value = answer.ok().json
        assert value["meta"]["href"] == path
        if "items" in value:
            assert value.keys() == {"items", "meta"}
            assert all(isinstance(item["key"], str) for item in value["items"])
            assert [item["meta"] for item in value["items"]] == [{"href": f"{path}/{item['key']}"} for item in value["items"]]
        else:
            assert value.keys() == {"body", "key", "meta"}
            assert value["key"] == path.rpartition("/")[2]


def test_46_mail_settings_have_an_admin_address(admin: Caller) -> None:
    assert "admin_address" in admin.body("/api/configuration/management/email")


@pytest.mark.parametrize("headers", [{}, STRICT], ids=["lenient", "strict"])
def test_47_unchanged_body_can_be_put_back_everywhere(admin: Caller, headers: dict[str, str]) -> None:
    written = []
    for path in configuration(admin):
        answer = admin.get(path)
        if "PUT" not in answer.header("Allow"):
            continue
        shown = "body" if "body" in answer.json else "items"
        value = answer.json["body"] if shown == "body" else {"@order": [item["key"] for item in answer.json["items"]]}
        again = admin.put(path, value, headers=headers).ok()
        assert again.json[shown] == answer.json[shown]
        assert again.header("ETag") == answer.header("ETag")
        assert "warnings" not in again.meta
        assert again.all("Preference-Applied") == (["handling=strict"] if headers else [])
        written.append(path)
    assert {NTP, ZONE, WEB, ACCOUNTING, f"{USERS}/-1", f"{GROUPS}/-1001"} < set(written)
    assert len(written) > 60
    assert admin.changes() == []
    assert "changes" not in admin.get(TRANSACTION).meta


VIEW = {"group": "basic-view", "objects": ["/special/basic"], "permission": "read"}
MAIL = {
    "admin_address": "admin@example.com",
    "alerting_address": None,
    "reporting_address": None,
    "sender_address": None,
    "smtp_auth": {"enabled": False},
    "smtp_encryption": {"selection": "disabled"},
    "smtp_port": None,
    "smtp_server": {"selection": "fqdn", "value": "mail.invalid"},
}
OFF = {"enabled": False}
UNSIGNED = {"encryption": OFF, "signing": OFF, "signing_and_timestamping_interval": 30, "timestamping": OFF}
DAYS: dict[str, list[list[str]]] = {day: [] for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}
NETWORK = "/api/configuration/network"
NICS = f"{NETWORK}/nics"
ADMIN_WEB = "/api/configuration/local_services/admin_web"
CERTIFICATES = "/api/configuration/management/certificates"


REACHED = first_addresses(Machine())[0][0]
"""The key of the address by which the server is reached: it stays while it is used, whatever its text."""
_, _, INTERFACE, _, ADDRESS = REACHED.split(".")


def _nic(device: str | None, *addresses: str) -> dict[str, Any]:
    entries = dict(zip([ADDRESS, "other"], addresses, strict=False))
    interface = {"addresses": {"@order": list(entries), **entries}, "name": addresses[0], "vlantag": 0}
    return {"interfaces": {"@order": [INTERFACE], INTERFACE: interface}, "name": device, "speed": "auto"}


def _web(*networks: str) -> dict[str, Any]:
    href = f"{NICS}/nic1#interfaces/{INTERFACE}/addresses/{ADDRESS}"
    line = {"address": {"key": REACHED, "meta": {"href": href}}, "http_port": None, "https_port": 8443}
    return {"access_restriction": {"allowed_from": list(networks), "enabled": True}, "listen": [line]}


def _rule(channel: str, **own: Any) -> dict[str, Any]:
    return {**rule(channel, **own), "time_policy": {"key": "-100", "meta": {"href": f"{TIMES}/-100"}}}


REPLACED: dict[str, tuple[Any, Any]] = {
    ACLS: ([VIEW], [{"group": "auth-view", "objects": ["/special/auth", NTP], "permission": "write"}]),
    ADMIN_WEB: (_web("10.0.0.0/8"), _web("192.0.2.0/24", "::1/128")),
    AUDIT: ({**UNSIGNED, "name": "first"}, {**UNSIGNED, "name": "second"}),
    EMAIL: (MAIL, {**MAIL, "admin_address": "ops@example.com", "sender_address": "doorward@example.com"}),
    GROUPS: ({"members": [], "name": "first"}, {"members": [], "name": "second"}),
    **{
        f"{NICS}/{name}": (_nic(device, "192.0.2.5/24"), _nic(device, "192.0.2.6/24", "2001:db8::5/64"))
        for name, device in {"nic1": "sandbox0", "nic2": None, "nic3": None}.items()
    },
    f"{NETWORK}/dns": ({"primary": "192.0.2.1", "secondary": None}, {"primary": "192.0.2.2", "secondary": "2001:db8::2"}),
    f"{NETWORK}/naming": (
        {"domainname": "example.com", "hostname": "first", "nickname": None},
        {"domainname": "example.net", "hostname": "second", "nickname": "The other one"},
    ),
    NTP: ([{"selection": "fqdn", "value": "one.invalid"}], [{"selection": "fqdn", "value": "two.invalid"}]),
    TIMES: ({**DAYS, "Mon": [["9:00", "17:59"]], "name": "work"}, {**DAYS, "Mon": [["8:00", "12:00"]], "name": "rest"}),
    USERS: ({"name": "first", "password": None}, {"name": "second@example.com", "password": None}),
    ZONE: ("Europe/Budapest", "US/Eastern"),
    SSH[0]: ({**RADIUS, "backend": {"selection": "accounts"}}, {**RADIUS, "backend": {"selection": "none"}, "name": "relayed"}),
    SSH[1]: ({"name": "first", "rules": [_rule("session-shell")]}, {"name": "second", "rules": [_rule("x11", networks=[])]}),
    SSH[2]: (SETTINGS, {**SETTINGS, "greeting": "Welcome", "name": "other"}),
}
"""Endpoints with text members that can be written: a body, and the body with other texts."""


@pytest.mark.parametrize("path", REPLACED)
def test_48_text_is_replaced_and_the_rest_stays(admin: Caller, path: str) -> None:
    before, after = REPLACED[path]
    if path in {AUDIT, GROUPS, TIMES, USERS, *SSH}:
        path = admin.post(path, before).ok(201).header("Location")
    else:
        admin.put(path, before).ok()
    assert admin.body(path) == before
    admin.put(path, after).ok()
    assert admin.body(path) == after


def test_48_no_text_that_can_be_written_is_missing_above(admin: Caller) -> None:
    """Whoever adds an endpoint that shows a text from the start adds it to the table."""
    shown = [answer for path in configuration(admin) if supported(path) and (answer := admin.get(path)).status == 200]
    writable = [answer for answer in shown if "PUT" in answer.header("Allow") and "body" in answer.json]
    found = {endpoint_of(answer.meta["href"]) for answer in writable if _text_in(answer.json["body"])}
    assert found == {*REPLACED, CERTIFICATES}


def test_48_references_are_replaced_and_the_rest_stays(admin: Caller) -> None:
    before = admin.body(CERTIFICATES)
    after = {**before, "ca": {"selection": "certificate", "x509_certificate": before["ca"]["x509_identity"]}}
    admin.put(CERTIFICATES, after).ok()
    assert admin.body(CERTIFICATES) == after


def _text_in(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_text_in, value.values()))
    return any(map(_text_in, value)) if isinstance(value, list) else isinstance(value, str)


def test_49_reference_is_taken_bare_and_as_it_was_shown(admin: Caller) -> None:
    user = admin.post(USERS, {"name": "member"}).ok(201).json["key"]
    shown = [{"key": user, "meta": {"href": f"{USERS}/{user}"}}]
    for members in ([user], shown, [{"key": user}], [{"key": user, "meta": {"href": "/somewhere/else"}, "x": 1}]):
        key = admin.post(GROUPS, {"members": members, "name": "group"}).ok(201).json["key"]
        assert admin.body(f"{GROUPS}/{key}") == {"members": shown, "name": "group"}
        listed = [item["body"] for item in admin.get(GROUPS).json["items"] if item["key"] == key]
        assert listed == [{"members": [user], "name": "group"}], "not expanded in a list"
        admin.delete(f"{GROUPS}/{key}").ok()


def test_50_one_address_of_the_nics_is_the_one_that_the_client_reached(admin: Caller) -> None:
    found = []
    for name in ("nic1", "nic2", "nic3"):
        interfaces = admin.body(f"{NICS}/{name}")["interfaces"]
        assert isinstance(interfaces["@order"], list)
        for key in interfaces["@order"]:
            addresses = interfaces[key]["addresses"]
            found += [addresses[address] for address in addresses["@order"]]
    assert "127.0.0.1" in {address.partition("/")[0] for address in found}


@pytest.mark.parametrize("path", ["network/naming", "", "network", "plugins"])
def test_53_parts_that_clients_look_at_first(admin: Caller, path: str) -> None:
    admin.get(f"/api/configuration/{path}").ok()


@pytest.mark.parametrize(
    ("path", "built_in"),
    [*((f"{name}/connections", []) for name in PROTOCOLS), ("ssh/channel_policies", ["-210", "-211"]),
     ("ssh/settings_policies", ["-300"]), ("ssh/authentication_policies", ["-200"])],
)  # fmt: skip
def test_54_connections_of_every_protocol_can_be_listed(admin: Caller, path: str, built_in: list[str]) -> None:
    assert [item["key"] for item in admin.get(f"/api/configuration/{path}").ok().json["items"]] == built_in


def test_55_made_object_has_its_key_on_top_and_can_be_deleted(admin: Caller) -> None:
    answer = admin.post(USERS, {"name": "short-lived"}).ok(201)
    path = f"{USERS}/{answer.json['key']}"
    assert len(answer.json["key"]) == 22
    assert int(answer.json["key"], 16) >= 0
    assert answer.header("Location") == answer.meta["href"] == path
    assert answer.json["body"] == admin.body(path) == {"name": "short-lived", "password": None}
    deleted = admin.delete(path).ok()
    assert deleted.json == {
        "meta": {
            "href": path,
            "parent": USERS,
            "remaining_seconds": deleted.meta["remaining_seconds"],
            "transaction": TRANSACTION,
        }
    }
    admin.get(path).is_error(404, "NotFound", resource=answer.json["key"])


def test_56_latin_1_is_400_and_the_connection_goes_on(admin: Caller) -> None:
    content = '[{"selection":"fqdn","value":"köln.invalid"}]'.encode("latin-1")
    answer = admin.put(NTP, content=content, headers={"Content-Type": "application/json; charset=iso-8859-1"})
    answer.refuses("InvalidRequestBody", ("invalid_utf8", ""))
    admin.get(NTP).ok()
    assert admin.connections == 1


def test_57_no_names_differ_only_in_case(admin: Caller) -> None:
    for path in everything(admin):
        check_shape(admin.get(path))
