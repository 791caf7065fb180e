"""How users log in at the gateway, and the gateway at servers: ``/api/configuration/ssh/authentication_policies``.

With the backend ``none`` nobody logs in at the gateway: what the client shows is relayed to the server, and a public key counts
only if the client's agent then signs for the server as well. Otherwise the backend says who the user is. ``relayed`` are the
ways to log in at the server, tried in order; those with a stored secret are for users that logged in here. The built-in policy
``default`` relays, and can't be changed. A commit takes effect on new sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import InitErrorDetails

from doorward.configuration import passwords, private_keys
from doorward.configuration._openssh import AuthorityKey
from doorward.configuration.policies import user_databases
from doorward.tree.destinations import Destination
from doorward.tree.fields import Address, Name, Port
from doorward.tree.models import Body, Elements, Interrelated, Off, Switched, Variants, wrong
from doorward.tree.nodes import Collection
from doorward.tree.references import Reference, RefersTo

PATH = "/api/configuration/ssh/authentication_policies"
DEFAULT = "-200"
"""The key of the built-in policy."""

METHODS = ("password", "keyboard_interactive", "public_key", "certificate")
PrivateKeyReference = Annotated[Reference[private_keys.PublicHalf], RefersTo(private_keys.NODE, form="sealed")]


class NoBackend(Body):
    """Nobody logs in here."""

    selection: Literal["none"] = Field(description="What the client shows is relayed to the server.")


class LocalBackend(Body):
    """Users of a user database."""

    selection: Literal["local"] = Field(description="The users of a user database.")
    user_database: Annotated[Reference[user_databases.UserDatabase], RefersTo(user_databases.NODE)] = Field(
        description="Key of the user database."
    )


class AccountsBackend(Body):
    """Accounts of the appliance."""

    selection: Literal["accounts"] = Field(description="The accounts of aaa/local_database.")


class LdapBackend(Body):
    """Users of a directory."""

    selection: Literal["ldap"] = Field(description="The users of the directory of the connection; the bind is as the user.")


class RadiusServer(Body):
    """A RADIUS server."""

    destination = Destination("host", "port")

    host: Address = Field(description="The server.")
    port: Port = Field(default=1812, description="Its port.")
    secret: Annotated[Reference[passwords.StoredPassword], RefersTo(passwords.NODE, form="sealed")] = Field(
        description="Key of the shared secret, a password."
    )


class RadiusBackend(Body):
    """Users of RADIUS."""

    selection: Literal["radius"] = Field(description="RADIUS servers are asked, in order (RFC 2865).")
    servers: Annotated[list[RadiusServer], Elements(least=1, most=16, unique=lambda server: (server.host.value, server.port))] = (
        Field(description="The servers, tried in order.")
    )
    timeout: int = Field(5, ge=1, le=60, description="Seconds that a server has for an answer.")


Backend = Annotated[NoBackend | LocalBackend | AccountsBackend | LdapBackend | RadiusBackend, Variants("selection")]


class ClientMethod(Body):
    """A way to log in that is open."""

    enabled: Literal[True] = Field(description="Users may log in this way.")


class CertificateMethod(Body):
    """OpenSSH certificates of users."""

    enabled: Literal[True] = Field(description="Users may log in with a certificate whose principals name them.")
    authorities: Annotated[list[AuthorityKey], Elements(least=1, most=16, unique=str)] = Field(
        description="Public keys of the authorities that sign certificates of users."
    )


MethodSwitch = Annotated[ClientMethod | Off, Switched()]
CertificateSwitch = Annotated[CertificateMethod | Off, Switched()]
_OFF = Off(enabled=False)
MethodName = Literal["password", "keyboard_interactive", "public_key", "certificate"]


class ClientMethods(Body):
    """How users may log in."""

    password: MethodSwitch = Field(_OFF, description="With a password.")
    keyboard_interactive: MethodSwitch = Field(_OFF, description="With answers to questions (RFC 4256).")
    public_key: MethodSwitch = Field(_OFF, description="With a key.")
    certificate: CertificateSwitch = Field(_OFF, description="With an OpenSSH certificate.")


class SamePassword(Body):
    """The password again."""

    selection: Literal["same_password"] = Field(description="What the client typed last.")


class KeyboardInteractive(Body):
    """Questions of the server."""

    selection: Literal["keyboard_interactive"] = Field(description="The client is shown the questions of the server.")


class AgentLogin(Body):
    """The client's agent."""

    selection: Literal["agent"] = Field(description="The agent of the client, which it has to forward, signs.")


class PrivateKeyLogin(Body):
    """A stored key."""

    destination = Destination("selection")

    selection: Literal["private_key"] = Field(description="A private key of the appliance signs.")
    key: PrivateKeyReference = Field(description="Key of the private key; its public half goes on the servers.")


class CertificateLogin(Body):
    """A certificate for the session."""

    destination = Destination("selection")

    selection: Literal["certificate"] = Field(description="A new key for each session, with a certificate of a short life.")
    ca_key: PrivateKeyReference = Field(description="Key of the private key of the authority that servers trust.")
    seconds: int = Field(300, ge=30, le=86_400, description="Seconds that a certificate is good for.")


class StoreLogin(Body):
    """A secret of the credential store."""

    selection: Literal["credential_store"] = Field(description="What the credential store of the connection has for the server.")


class PasswordPrompt(Body):
    """Another password."""

    selection: Literal["password_prompt"] = Field(description="The client is asked for the password of the server.")


Login = Annotated[
    SamePassword | KeyboardInteractive | AgentLogin | PrivateKeyLogin | CertificateLogin | StoreLogin | PasswordPrompt,
    Variants("selection"),
]

_STORED = ("private_key", "certificate", "credential_store")
"""Ways to log in at a server with a secret of the appliance."""


class AuthenticationPolicy(Interrelated):
    """An authentication policy."""

    name: Name = Field(description="Name of the policy, unique.", examples=["gate"])
    backend: Backend = Field(NoBackend(selection="none"), description="Who knows the users.")
    client: ClientMethods = Field(description="How users may log in; one way at least.")
    require: Annotated[
        list[Annotated[list[MethodName], Elements(least=1, most=4, unique=str)]], Elements(most=16, unique=tuple)
    ] = Field(
        default_factory=list,
        description="Ways that are demanded one after the other, any of the lists; empty: any one way is enough.",
        examples=[[["public_key", "password"]]],
    )
    relayed: Annotated[list[Login], Elements(least=1, most=7, unique=lambda one: one.selection)] = Field(
        description="How to log in at servers, tried in order."
    )

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Want ways to log in that the backend can judge, and no stored secret for somebody unknown."""
        selection = _selection(sent.get("backend", {"selection": "none"}))
        client = sent.get("client")
        methods = client if isinstance(client, dict) else {}
        enabled = {name for name in METHODS if isinstance(found := methods.get(name), dict) and found.get("enabled") is True}
        if isinstance(client, dict) and not enabled and not any(_is_odd(methods, name) for name in METHODS):
            yield wrong("contradiction", "One way to log in at least has to be enabled.", "client")
        if selection in {"ldap", "radius"} and "public_key" in enabled:
            yield wrong("contradiction", f"The backend {selection} knows no keys.", "client", "public_key")
        if selection == "none" and "certificate" in enabled:
            yield wrong("contradiction", "Needs a backend; there is nobody to compare with.", "client", "certificate")
        if isinstance(client, dict):
            yield from cls._unfit_rows(sent, enabled, methods)
        relayed = sent.get("relayed")
        for index, way in enumerate(relayed if isinstance(relayed, list) else ()):
            if selection == "none" and _selection(way) in _STORED:
                yield wrong("contradiction", "Needs a login at the gateway: the backend is none.", "relayed", index)

    @staticmethod
    def _unfit_rows(sent: dict[str, Any], enabled: set[str], methods: dict[str, Any]) -> Iterator[InitErrorDetails]:
        rows = sent.get("require")
        for at, row in enumerate(rows if isinstance(rows, list) else ()):
            for index, name in enumerate(row if isinstance(row, list) else ()):
                if isinstance(name, str) and name in METHODS and name not in enabled and not _is_odd(methods, name):
                    yield wrong("contradiction", "Is not enabled in client.", "require", at, index)


def _selection(value: Any) -> str:
    found = value.get("selection") if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _is_odd(methods: dict[str, Any], name: str) -> bool:
    """Whether what stands for a switch is none, which is said of it anyway."""
    switch = methods.get(name)
    return name in methods and not (isinstance(switch, dict) and isinstance(switch.get("enabled"), bool))


def has_login(policy: AuthenticationPolicy) -> bool:
    """Whether users log in at the gateway."""
    return not isinstance(policy.backend, NoBackend)


def stored_ways(policy: AuthenticationPolicy) -> list[int]:
    """Return which of the relayed ways bring a secret of the appliance, or of a login at the gateway, to a server."""
    ways = {*_STORED, "same_password"} if has_login(policy) else set(_STORED)
    return [index for index, way in enumerate(policy.relayed) if way.selection in ways]


NODE: Collection[AuthenticationPolicy] = Collection(
    title="SSH authentication policies",
    model=AuthenticationPolicy,
    default={
        DEFAULT: {
            "backend": {"selection": "none"},
            "client": {
                "certificate": {"enabled": False},
                "keyboard_interactive": {"enabled": True},
                "password": {"enabled": True},
                "public_key": {"enabled": True},
            },
            "name": "default",
            "relayed": [{"selection": "same_password"}, {"selection": "keyboard_interactive"}, {"selection": "agent"}],
            "require": [],
        }
    },
    fixed=tuple(AuthenticationPolicy.model_fields),
    unique="name",
)
