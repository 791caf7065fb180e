"""What the exchanges of real clients need around them, and which of them wait for a later release."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.contract.wire import NTP, TRANSACTION, WEB, Caller, Reply

EXCHANGES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "client-exchanges.json").read_text())

PS = "safeguard-ps 8.4.4"
X509 = "safeguard-ps derivative with x509 (unattributed copy)"
NET = "SafeguardDotNet 5564b76"
CSHARP = "C# sample on SafeguardDotNet (2021, unattributed)"


class Later(NamedTuple):
    """How an exchange is answered as long as this release does not serve it."""

    status: int
    error: str | None
    reason: str


NOT_SERVED = Later(404, "NotFound", "the vendor's cloud service is left out on purpose")
FIRMWARE = Later(400, "SemanticError", "releases are not changed over REST")
NO_BUNDLE = Later(404, "NotFound", "the exchange names a bundle that is not there; test_bundles goes through all four")
STANDALONE = Later(404, "NotFound", "the node is in no cluster; test_68 and test_cluster ask a Central Management")
PASSWORDS_APPLIANCE = Later(400, "SemanticError", "the vendor's password appliance is not joined")
CERTIFICATE = Later(401, "AuthenticationFailure", "logins by certificate come later; no certificate is accepted")

LATER: dict[tuple[str, str], Later] = {
    (PS, "Connect-SafeguardSps -CertificateFile"): CERTIFICATE,
    (PS, "Import-SafeguardSpsFirmware"): FIRMWARE,
    (PS, "Test-SafeguardSpsFirmware"): FIRMWARE,
    (PS, "Install-SafeguardSpsFirmware"): FIRMWARE,
    (PS, "Get-SafeguardSpsSupportBundle 2"): NO_BUNDLE,
    (PS, "Get-SafeguardSpsSupportBundle 3"): NO_BUNDLE,
    (PS, "Get-SafeguardSpsSupportBundle 4"): NO_BUNDLE,
    (PS, "Enable-/Disable-SafeguardSpsRemoteAccess 1"): NOT_SERVED,
    (PS, "Enable-/Disable-SafeguardSpsRemoteAccess 2"): NOT_SERVED,
    (PS, "Invoke-SafeguardSpsStarlingJoinBrowser 1"): NOT_SERVED,
    (PS, "Invoke-SafeguardSpsStarlingJoinBrowser 2"): NOT_SERVED,
    (PS, "Invoke-SafeguardSpsStarlingJoinBrowser 3"): NOT_SERVED,
    (PS, "Remove-SafeguardSpsStarlingJoin"): NOT_SERVED,
    (PS, "Complete-SafeguardSpsWelcomeWizard"): Later(
        409, "Conflict", "this server is set up from its first start on; test_setup sends it to one that waits"
    ),
    (PS, "Join-SafeguardSessionCluster 4"): STANDALONE,
    (PS, "Join-SafeguardSessionCluster 6"): PASSWORDS_APPLIANCE,
    (X509, "Connect by certificate"): CERTIFICATE,
    (NET, "JoinSps"): PASSWORDS_APPLIANCE,
    (NET, "Streaming.DownloadStreamAsync"): Later(404, "NotFound", "recorded sessions come later"),
    (NET, "Streaming.UploadAsync"): FIRMWARE,
}


def nothing(_caller: Caller) -> None:
    """The exchange needs nothing before it."""


def opened(caller: Caller) -> None:
    caller.post(TRANSACTION).ok()


def changed(caller: Caller) -> None:
    caller.post(NTP, {"selection": "ip", "value": "127.0.0.77"}).ok(201)


def listen_key(caller: Caller) -> str:
    """The key of the address that the node listens on, put together as safeguard-ps does."""
    interfaces = caller.body("/api/configuration/network/nics/nic1")["interfaces"]
    interface = interfaces["@order"][0]
    return f"nic1.interfaces.{interface}.addresses.{interfaces[interface]['addresses']['@order'][0]}"


def interface_enabled(caller: Caller) -> None:
    caller.put("/api/configuration/local_services/cluster", {"enabled": True, "listen_address": listen_key(caller)}).ok()


def to_be_committed(caller: Caller) -> None:
    minutes = caller.body(WEB)["timeout"]
    caller.put(WEB, {"timeout": 21 - minutes}).ok()  # 10 and 11 in turn


BEFORE: dict[tuple[str, str], Callable[[Caller], None]] = {
    (PS, "Get-SafeguardSpsTransaction, open with changes"): changed,
    (PS, "Get-SafeguardSpsTransaction (2nd request)"): changed,
    (PS, "Close-/Save-SafeguardSpsTransaction"): to_be_committed,
    (PS, "Clear-SafeguardSpsTransaction"): changed,
    (PS, "old safeguard-ps (before 2024-04), negative"): to_be_committed,
    (NET, "InvokeMethod(Put)"): to_be_committed,
    (CSHARP, "commit"): opened,
    (CSHARP, "promote"): interface_enabled,
    (PS, "Join-SafeguardSessionCluster 5"): interface_enabled,
}


def values_at(value: Any, path: str) -> list[Any]:
    """All values at a path such as ``items[].body.version``; KeyError where a member is missing."""
    found = [value]
    for part in re.findall(r"[^.\[\]]+|\[\]", path):
        if part == "[]":
            found = [element for v in found for element in v]
        elif part == "{id}":
            found = [v[key] for v in found for key in v["@order"]]
        else:
            found = [v[int(part) if isinstance(v, list) else part] for v in found]
    return found


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _full_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _ids(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(map(_full_text, value))


RULES: Mapping[str, Callable[[Any], bool]] = {
    "'closed'": lambda value: value == "closed",
    "'open'": lambda value: value == "open",
    "array of address ids": _ids,
    "array of interface ids": _ids,
    "boolean": lambda value: isinstance(value, bool),
    "member exists, so that it can be replaced": lambda _value: True,
    "member read": lambda value: value is not None,
    "non-empty string": _full_text,
    "non-empty string; shown to the user as 'type: message'": _full_text,
    "number": lambda value: isinstance(value, int),
    "object": _object,
    "object, not null": _object,
    "object; its JSON text becomes the exception's message": _object,
    "string": _text,
    "string, one per slot; the array index is used as slot_id": _full_text,
    "top-level string: job id": _full_text,
    "string that starts with the address the client connected to, e.g. '192.0.2.5/24'": lambda v: v.startswith("127.0.0.1/"),
    "string (only with -AltSyntax)": _text,
    "string, used as listen_address of the cluster interface": lambda v: v.startswith("nic1.interfaces."),
    "top-level array": lambda value: isinstance(value, list),
    "top-level member, not null": lambda value: value is not None,
    "top-level string: 'uninitialized', 'completed', 'booting', ...": lambda value: value in {"booting", "completed"},
    "truthy (a link)": _full_text,
}
"""What the clients do with a field, by the words of the file."""


def check_field(reply: Reply, path: str, rule: str) -> None:
    """Assert that a client finds in an answer what it looks for."""
    if path == "Set-Cookie: session_id":
        assert reply.header("Set-Cookie").startswith("session_id=")
    elif path == "(body)":
        assert isinstance(reply.json, dict)
    elif rule == "absent or falsy":
        above, _, name = path.rpartition(".")
        assert not values_at(reply.json, above)[0].get(name)
    else:
        assert all(RULES[rule](value) for value in values_at(reply.json, path)), (path, rule)
