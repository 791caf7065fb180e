"""What a front may ask of a machine: the resources that Doorward makes of a configuration, and nothing else.

A front that was taken over can ask for any other configuration. It must not get at other files, units or programs by that, so
every path and every line is compared with the forms in which Doorward itself writes them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from doorward.host.drivers.chrony_conf import MAX_SERVERS, SOURCES, authority_path
from doorward.host.drivers.networkd import netdev_path, network_path, vlan_name
from doorward.host.errors import HostError
from doorward.host.kinds.path import ZONEINFO
from doorward.host.network_resources import Hostname, NameServers, NetworkAddress, Networkd, NetworkLine, Route, Vlan
from doorward.host.resources import Daemon, File, HostResource, Symlink, Zone
from doorward.host.zones import is_zone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from doorward.host.plan import Change

MAX_FILE: Final = 1 << 20
"""Bytes of a file; one of systemd-networkd with all addresses and routes that fit in takes less."""
MAX_TOUCHED: Final = 4096
"""Paths that may change before a step."""
_MAX_NAME_SERVERS, _MAX_TAG, _MAX_ZONE = 2, 4094, 128
_MODE: Final = 0o644

_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9.])?")
_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?")
_DEVICE: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._@+-]{1,15}")
_ORIGIN: Final = re.compile(r"[A-Za-z0-9/_.#-]{0,200}")
_TEXT: Final = re.compile(r"[A-Za-z0-9 /_.-]{0,64}")
_NTS = r"( nts( certset ([1-9]|1[0-6]))?)?"
_SOURCE: Final = re.compile(rf"server (?P<address>\S+) iburst{_NTS}|pool (?P<name>\S+) iburst{_NTS} maxsources 4")
_AUTHORITIES: Final = frozenset(authority_path(slot) for slot in range(1, MAX_SERVERS + 1))
_MAX_AUTHORITY: Final = 256
"""Lines of a certificate in PEM, its head and its foot beside them."""
_PEM_LINE: Final = re.compile(r"[A-Za-z0-9+/]{1,64}={0,2}")
_UNIT_FILE: Final = re.compile(r"/etc/systemd/network/10-doorward-(?P<device>[^/]+)\.(?P<kind>network|netdev)")
_HOST: Final = re.compile(r"127\.0\.1\.1\t(?P<whole>\S+) (?P<name>\S+)")
_HEAD: Final = re.compile(r"# Written by Doorward from [A-Za-z0-9/_.#-]{0,200}; a change by hand counts as drift\.")


class NotPermittedError(HostError):
    """A resource, or a part of one, that Doorward makes of no configuration."""


def check_change(change: Change[HostResource]) -> None:
    """Raise NotPermittedError unless both sides of a change are permitted."""
    for resource in (change.resource, change.previous):
        if resource is not None:
            check(resource)


def check(resource: HostResource) -> None:
    """Raise NotPermittedError unless Doorward makes such a resource of some configuration."""
    _require(_ORIGIN.fullmatch(resource.origin), "origin")
    test = _CHECKS.get(type(resource))
    if test is None:
        raise NotPermittedError("the helper of the host does not handle such a resource")
    test(resource)


def check_touched(paths: Iterable[str]) -> None:
    """Raise NotPermittedError unless paths, which are only compared with others, are few and plain."""
    found = list(paths)
    _require(len(found) <= MAX_TOUCHED and all(path.startswith("/") and path.isprintable() for path in found), "list of paths")


def _check_file(file: File) -> None:
    _require(_TEXT.fullmatch(file.label), "label of a file")
    _require(file.mode == _MODE and len(file.content) <= MAX_FILE, "mode or size of a file")
    try:
        lines = file.content.decode("ascii").split("\n")
    except UnicodeDecodeError:
        lines = [""]
    _require(lines.pop() == "" and "\r" not in "".join(lines), "content of a file")
    unit = _UNIT_FILE.fullmatch(file.path)
    if unit is not None:
        _check_device(unit["device"])
        make = network_path if unit["kind"] == "network" else netdev_path
        _require(file.path == make(unit["device"]), "file of a network device")
        _require(_is_network_file(lines) if unit["kind"] == "network" else _is_netdev_file(lines), "content of a file")
    elif file.path == SOURCES:
        _require(len(lines) <= MAX_SERVERS and all(map(_is_source, lines)), "content of a file")
    elif file.path in _AUTHORITIES:
        _require(_is_certificate(lines), "content of a file")
    elif file.path == "/etc/timezone":
        _require(len(lines) == 1, "content of a file")
        _check_zone(lines[0])
    elif file.path == "/etc/hostname":
        _require(len(lines) == 1 and _LABEL.fullmatch(lines[0]), "content of a file")
    else:
        _require(None, "path of a file")


def _is_source(line: str) -> bool:
    found = _SOURCE.fullmatch(line)
    return found is not None and _is_host(found["address"] or found["name"])


def _is_certificate(lines: list[str]) -> bool:
    framed = [lines[0], lines[-1]] == ["-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"] if lines else False
    return framed and len(lines) <= _MAX_AUTHORITY + 2 and all(_PEM_LINE.fullmatch(line) for line in lines[1:-1])


def _check_symlink(link: Symlink) -> None:
    _require(_TEXT.fullmatch(link.label), "label of a link")
    _require(link.path == "/etc/localtime" and link.target.startswith(ZONEINFO), "link")
    _check_zone(link.target.removeprefix(ZONEINFO))


def _check_proof(zone: Zone) -> None:
    _require(zone.link == "/etc/localtime", "link to a time zone")
    _check_zone(zone.name)


def _check_daemon(daemon: Daemon) -> None:
    _require(daemon.name == "chronyd" and set(daemon.reload_on) <= {SOURCES} and set(daemon.restart_on) <= _AUTHORITIES, "daemon")
    _require(len(daemon.lists) <= MAX_SERVERS and all(map(_is_host, daemon.lists)), "list of a daemon")


def _check_line(line: NetworkLine) -> None:
    found = _HOST.fullmatch(line.text)
    _require((line.path, line.key) == ("/etc/hosts", "127.0.1.1"), "line of a file")
    _require(found and _is_name(found["whole"]) and _LABEL.fullmatch(found["name"]), "line of a file")


def _check_vlan(vlan: Vlan) -> None:
    _check_device(vlan.device, vlan.tag, least=1)
    _require(vlan.name == vlan_name(vlan.device, vlan.tag), "name of a VLAN")


def _check_address(address: NetworkAddress) -> None:
    _check_device(address.device, address.tag)
    _require(_is_interface(address.address), "address")


def _check_route(route: Route) -> None:
    _check_device(route.device)
    _require(_is_network(route.target) and _is_address(route.gateway), "route")


def _check_networkd(networkd: Networkd) -> None:
    _check_device(networkd.device)
    _require(all(map(_UNIT_FILE.fullmatch, networkd.reload_on)), "file of a network device")


def _check_name_servers(asked: NameServers) -> None:
    _require(len(asked.servers) <= _MAX_NAME_SERVERS and all(map(_is_address, asked.servers)), "name server")
    _require(_is_name(asked.search), "domain")


def _check_hostname(hostname: Hostname) -> None:
    _require(_LABEL.fullmatch(hostname.name), "name of a machine")


_CHECKS: Final[dict[type[HostResource], Callable[[Any], None]]] = {
    File: _check_file,
    Symlink: _check_symlink,
    Zone: _check_proof,
    Daemon: _check_daemon,
    NetworkLine: _check_line,
    Vlan: _check_vlan,
    NetworkAddress: _check_address,
    Route: _check_route,
    Networkd: _check_networkd,
    NameServers: _check_name_servers,
    Hostname: _check_hostname,
}


def _is_network_file(lines: list[str]) -> bool:
    """Whether it is what `networkd.network_text` makes."""
    return _is_unit(lines, {
        "[Match]": {"Name": _is_device},
        "[Network]": {"DHCP": "no".__eq__, "VLAN": _is_device, "Address": _is_interface},
        "[Route]": {"Destination": _is_network, "Gateway": _is_address},
    })  # fmt: skip


def _is_netdev_file(lines: list[str]) -> bool:
    """Whether it is what `networkd.netdev_text` makes."""
    return _is_unit(lines, {
        "[NetDev]": {"Name": _is_device, "Kind": "vlan".__eq__},
        "[VLAN]": {"Id": _is_tag},
    })  # fmt: skip


def _is_unit(lines: list[str], sections: Mapping[str, Mapping[str, Callable[[str], bool]]]) -> bool:
    allowed: Mapping[str, Callable[[str], bool]] = {}
    for number, line in enumerate(lines):
        if not line or (number == 0 and _HEAD.fullmatch(line)):
            continue
        if line in sections:
            allowed = sections[line]
            continue
        name, _, value = line.partition("=")
        if name not in allowed or not allowed[name](value):
            return False
    return True


def _is_tag(text: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,3}", text) is not None and int(text) <= _MAX_TAG


def _check_zone(name: str) -> None:
    _require(len(name) <= _MAX_ZONE and is_zone(name), "time zone")


def _check_device(name: str, tag: int = 0, *, least: int = 0) -> None:
    _require(_is_device(name) and least <= tag <= _MAX_TAG, "network device")


def _is_device(name: str) -> bool:
    return _DEVICE.fullmatch(name) is not None


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _is_host(name: str) -> bool:
    return _is_name(name) or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        return str(ipaddress.ip_address(text)) != "" and "%" not in text
    except ValueError:
        return False


def _is_interface(text: str) -> bool:
    try:
        return str(ipaddress.ip_interface(text)) != "" and "/" in text and "%" not in text
    except ValueError:
        return False


def _is_network(text: str) -> bool:
    try:
        return str(ipaddress.ip_network(text)) != "" and "%" not in text
    except ValueError:
        return False


def _require(is_permitted: object, what: str) -> None:
    if not is_permitted:
        raise NotPermittedError(f"the helper of the host refuses a {what} that no configuration asks for")
