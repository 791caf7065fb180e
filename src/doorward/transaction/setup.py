"""The first settings of a node, as the setup wizard asks for them: committed as one change, or not at all."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from doorward.configuration import passwords, x509
from doorward.configuration._setup import Certificates, Clock, FirstSettings, Mailing, Network
from doorward.configuration.aaa.local_database import users
from doorward.configuration.datetime import ntp_servers, timezone
from doorward.configuration.management import email
from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.order import Order
from doorward.transaction.pipeline import Pipeline
from doorward.tree.changes import ORDER
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody, Problem, SemanticError

HREF = "/api/setup"
MESSAGE = "First settings."
"""The message of their commit."""
CERTIFICATES = "/api/configuration/management/certificates"
DNS = "/api/configuration/network/dns"
NAMING = "/api/configuration/network/naming"
NIC = "/api/configuration/network/nics/nic1"
ROUTING = "/api/configuration/network/routing"
_NEW = "default"

Asked = Mapping[str, str]
"""From places in a body to the places in the answers that they come from; "" stands for all others."""


def awaited(running: Running) -> bool:
    """Whether a node waits for its first settings: nobody can log in before ``admin`` has a password."""
    admin = running.snapshot.find(users.NODE, users.ADMIN)
    return admin is not None and admin.password is None


class AlreadySetUpError(Exception):
    """The node has its first settings."""


def set_up(pipeline: Pipeline, answers: FirstSettings, address: str) -> None:
    """Commit the answers, sent from an address. Blocks; runs in the commit thread.

    Raises InvalidBody or SemanticError with places in the answers, or ApplyFailed; then the node waits as before. Raises
    AlreadySetUpError where it does not wait.
    """
    if not awaited(pipeline.running):
        raise AlreadySetUpError
    change = _SetupChange(pipeline)
    change.administration(answers)
    if answers.certificates is not None:
        change.certificates(answers.certificates)
    if answers.network is not None:
        change.network(answers.network)
    if answers.datetime is not None:
        change.datetime(answers.datetime)
    if answers.email is not None:
        change.email(answers.email)
    change.commit(Order("admin", address, MESSAGE, account=users.ADMIN))


class _SetupChange:
    """A candidate that the answers are written into, and all that is wrong with them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._candidate = Candidate.on(pipeline.running)
        self._asked: dict[str, Asked] = {}
        """By the href of what was written."""
        self._shape: list[Problem] = []
        self._meaning: list[Problem] = []

    def commit(self, order: Order) -> None:
        """Commit what was written, unless something is wrong with it. Raises InvalidBody."""
        if self._shape:
            raise InvalidBody(self._shape)
        if self._meaning:
            raise SemanticError(self._meaning)
        try:
            self._pipeline.commit(self._candidate, order)
        except SemanticError as refused:
            raise SemanticError(self._where(problem) for problem in refused.problems) from None

    # The answers

    def administration(self, answers: FirstSettings) -> None:
        """Give ``admin`` a password."""
        at = {"": "/administration/admin_password"}
        key = self._make(passwords.PATH, {"plain": answers.administration.admin_password}, at)
        if key is not None:
            self._put(users.PATH, {"name": "admin", "password": key}, at, users.ADMIN)

    def certificates(self, given: Certificates) -> None:
        """Put certificates in place of those that the node has made."""
        body, asked, whole = dict(self._value(CERTIFICATES)), {"": "/certificates"}, True
        for name, member in (("ca", "ca"), ("webserver", "server"), ("tsa", "tsa")):
            certificate: x509.NewCertificate | None = getattr(given, name)
            if certificate is None:
                continue
            at = f"/certificates/{name}"
            places = {"": at, "/certificate": f"{at}/certificate", "/private_key": f"{at}/private_key"}
            key = self._make(x509.PATH, certificate.model_dump(), places)
            kind = "certificate" if certificate.private_key is None else "identity"
            body[member] = {"selection": kind, f"x509_{kind}": key} if member == "ca" else key
            asked[f"/{member}"] = f"{at}/certificate"
            whole = whole and key is not None
        if whole and len(asked) > 1:
            self._put(CERTIFICATES, body, asked)

    def network(self, given: Network) -> None:
        """Name the node, give it an address, and say whom it asks and sends through."""
        names = {"domainname": given.domainname, "hostname": given.hostname}
        self._put(NAMING, self._value(NAMING) | names, {"": "/network"} | {f"/{name}": f"/network/{name}" for name in names})
        self._put(NIC, _with_address(self._value(NIC), given), {"": "/network/initial_address"})
        if given.gateway is not None:
            everything = "::/0" if isinstance(ipaddress.ip_address(given.gateway), ipaddress.IPv6Address) else "0.0.0.0/0"
            others = [route for route in self._value(ROUTING) if route["target_network"] != everything]
            routes = [*others, {"gateway": given.gateway, "target_network": everything}]
            self._put(ROUTING, routes, {"": "/network/gateway"})
        if given.primary_dns is not None or given.secondary_dns is not None:
            body = {"primary": given.primary_dns, "secondary": given.secondary_dns}
            self._put(DNS, body, {"": "/network/primary_dns", "/secondary": "/network/secondary_dns"})

    def datetime(self, given: Clock) -> None:
        """Set time zone and time server."""
        self._put(timezone.PATH, given.timezone, {"": "/datetime/timezone"})
        if given.primary_ntp_server is not None:
            self._put(ntp_servers.PATH, [_address(given.primary_ntp_server)], {"": "/datetime/primary_ntp_server"})

    def email(self, given: Mailing) -> None:
        """Set mail server and recipient."""
        server = None if given.smtp_server is None else _address(given.smtp_server)
        body = self._value(email.PATH) | {"admin_address": given.admin_email, "smtp_server": server}
        asked = {"": "/email", "/smtp_server": "/email/smtp_server", "/admin_address": "/email/admin_email"}
        self._put(email.PATH, body, asked)

    # Writing

    def _value(self, path: str) -> Any:
        return self._candidate.snapshot.value(path)

    def _make(self, store: str, body: Any, asked: Asked) -> str | None:
        """Make a write-once object; return its key, None where it is refused."""
        key: str | None = None
        with self._collecting(asked):
            key, _ = self._pipeline.tree.node(store).add(self._candidate, body, strict=True)
            self._asked[f"{store}/{key}"] = asked
        return key

    def _put(self, path: str, body: Any, asked: Asked, key: str = "") -> None:
        self._asked[Place(path, key).href] = asked
        with self._collecting(asked):
            self._pipeline.tree.node(path).replace(self._candidate, key, body, strict=True)

    @contextmanager
    def _collecting(self, asked: Asked) -> Iterator[None]:
        try:
            yield
        except InvalidBody as refused:
            self._shape += [_asked_at(asked, problem) for problem in refused.problems]
        except SemanticError as refused:
            self._meaning += [_asked_at(asked, problem) for problem in refused.problems]

    def _where(self, problem: Problem) -> Problem:
        """Return a problem of the commit at its place in the answers, if it comes from there."""
        asked = self._asked.get(problem.path)
        return problem if asked is None else _asked_at(asked, problem)


def _asked_at(asked: Asked, problem: Problem) -> Problem:
    known = [at for at in asked if not at or problem.pointer == at or problem.pointer.startswith(f"{at}/")]
    return replace(problem, pointer=asked[max(known, key=len)], path=HREF)


def _with_address(nic: dict[str, Any], given: Network) -> dict[str, Any]:
    """Return the body of a NIC whose first address is the given one, under the id that others refer to."""
    interfaces = nic["interfaces"]
    first, *others = interfaces[ORDER] or [_NEW]
    interface = interfaces.get(first, {"addresses": {ORDER: []}, "name": _NEW, "vlantag": 0})
    order = interface["addresses"][ORDER] or [_NEW]
    addresses = interface["addresses"] | {ORDER: order, order[0]: given.initial_address}
    tag = interface["vlantag"] if given.vlantag is None else given.vlantag
    return nic | {
        "interfaces": interfaces | {ORDER: [first, *others], first: interface | {"addresses": addresses, "vlantag": tag}}
    }


def _address(host: str) -> dict[str, str]:
    """Return a host in the form in which the tree has it."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return {"selection": "fqdn", "value": host}
    return {"selection": "ip", "value": host}
