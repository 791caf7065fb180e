"""What backup policies and archive policies have in common: where files go, when, and who is told. No endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag
from pydantic_core import InitErrorDetails, PydanticCustomError

from doorward.configuration import passwords, private_keys
from doorward.configuration._openssh import public_key
from doorward.configuration.policies._s3 import S3Target
from doorward.tree.destinations import Destination
from doorward.tree.fields import Address, Name, Port, TimeOfDay, bad_format, matching, text
from doorward.tree.models import OFF, ON, Body, Elements, Interrelated, Variants, tag_of, wrong
from doorward.tree.references import Reference, RefersTo

_FORBIDDEN_IN_SHARES = r'\\/:*?"<>|'


class NoMail(Body):
    """Nobody is told."""

    type: Literal["none"] = Field(description="No mail.")


class MailOfErrors(Body):
    """Failures are told."""

    type: Literal["errors-only"] = Field(description="A mail about each failure.")


class MailOfAll(Body):
    """Successes and failures are told."""

    type: Literal["all"] = Field(description="A mail about each run.")
    send_filelist: bool = Field(
        default=False, description="The mail does not list the files.", json_schema_extra={"const": False}
    )


class MailWithList(Body):
    """Successes and failures are told, with a list of the files."""

    type: Literal["all"] = Field(description="A mail about each run.")
    send_filelist: Literal[True] = Field(description="The mail lists the files.")
    file_count_limit: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        1000, description="Most files that are listed; a longer list is cut and says so."
    )


_MAILS = {"none": tag_of("type=none"), "errors-only": tag_of("type=errors-only"), "all": OFF}


def _mail(value: Any) -> str | None:
    """Return the tag of a variant; ``OFF`` hides the limit."""
    kind, lists = (
        value.get(name) if isinstance(value, dict) else getattr(value, name, None) for name in ("type", "send_filelist")
    )
    return ON if kind == "all" and lists is True else _MAILS.get(kind) if isinstance(kind, str) else None


NotificationEvent = Annotated[
    Annotated[NoMail, Tag(_MAILS["none"])]
    | Annotated[MailOfErrors, Tag(_MAILS["errors-only"])]
    | Annotated[MailOfAll, Tag(OFF)]
    | Annotated[MailWithList, Tag(ON)],
    Discriminator(_mail, "variant", "variant", {"by": "type", "allowed": "all, errors-only or none"}),
]


def _directory(value: str) -> str:
    if value[:1] in {"-", "~"} or {"", ".."} & set(value.removeprefix("/").split("/")):
        raise bad_format("Must be a path without empty parts and '..', not beginning with - or ~.")
    return value


_path = StringConstraints(min_length=1, max_length=1024)
Directory = Annotated[str, _path, AfterValidator(text), AfterValidator(_directory)]
AbsoluteDirectory = Annotated[Directory, AfterValidator(matching("/.*", "Must be an absolute path."))]


def _in_share(value: str) -> str:
    parts = value.split("/") if value else []
    if any(part in {"", ".."} or set(part) & set(_FORBIDDEN_IN_SHARES) for part in parts):
        raise bad_format("Must be names joined by /, without \\ : * ? \" < > | and without '..'.")
    return value


def _host_key(value: str) -> str:
    try:
        return public_key(value)
    except PydanticCustomError:
        raise bad_format("Must be an SSH host key, such as 'ssh-ed25519 AAAA...'.") from None


class RsyncTarget(Body):
    """A directory on an SSH server that has rsync."""

    destination = Destination("type", "server", "port", shrinking=("server_host_keys",))

    type: Literal["rsync"] = Field(description="rsync over SSH.")
    server: Address = Field(description="The SSH server.")
    port: Port = Field(default=22, description="Its port.")
    username: Annotated[
        str,
        StringConstraints(min_length=1, max_length=64),
        AfterValidator(matching(r"[A-Za-z0-9._@][A-Za-z0-9._@-]*", "Only letters, digits and . _ @ - are allowed, - not first.")),
    ] = Field(description="The account there.", examples=["doorward"])
    path: Directory = Field(
        description="The directory, absolute or below that of the account. It must exist.", examples=["/srv/backup"]
    )
    authentication_key: Annotated[Reference[private_keys.PublicHalf], RefersTo(private_keys.NODE, form="sealed")] = Field(
        description="Key of the private key to log in with; its public half goes on the server."
    )
    server_host_keys: Annotated[
        list[Annotated[str, StringConstraints(max_length=4096), AfterValidator(_host_key)]],
        Elements(least=1, most=4, unique=str),
    ] = Field(description="Keys that the server may show, as 'type base64'; several only to bridge a change.")


class PasswordAuthentication(Body):
    """Logs in."""

    selection: Literal["password"] = Field(description="With a user name and a password.")
    username: Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(text)] = Field(
        description="The account on the server."
    )
    domain: Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(text)] | None = Field(
        None, description="The domain of the account, or null."
    )
    password: Annotated[Reference[passwords.StoredPassword], RefersTo(passwords.NODE, form="sealed")] = Field(
        description="Key of the password."
    )


class AnonymousAuthentication(Body):
    """Does not log in."""

    selection: Literal["anonymous"] = Field(description="Without an account; neither encrypted nor signed.")


Authentication = Annotated[PasswordAuthentication | AnonymousAuthentication, Variants("selection")]


class SmbTarget(Interrelated):
    """A directory of an SMB share."""

    destination = Destination("type", "server", "port", "authentication.domain", "protocol_version", "encryption")

    type: Literal["smb"] = Field(description="SMB 3.")
    server: Address = Field(description="The file server.")
    port: Port = Field(default=445, description="Its port.")
    share: Annotated[
        str,
        StringConstraints(min_length=1, max_length=80),
        AfterValidator(text),
        AfterValidator(matching(rf"[^{_FORBIDDEN_IN_SHARES}]*", 'None of \\ / : * ? " < > | is allowed.')),
    ] = Field(description="Name of the share.", examples=["backup$"])
    path: Annotated[str, StringConstraints(max_length=1024), AfterValidator(text), AfterValidator(_in_share)] = Field(
        "", description="The directory in the share, names joined by /; empty: its root.", examples=["doorward/node1"]
    )
    authentication: Authentication = Field(description="Who to log in as.")
    protocol_version: Literal["auto", "3.0", "3.0.2", "3.1.1"] = Field(
        "auto", description="Version of SMB; auto: the highest that both sides know. SMB 1 and 2 are never spoken."
    )
    encryption: bool = Field(default=True, description="Whether encryption is required; needs a login.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Without a login there is nothing to encrypt with."""
        authentication = sent.get("authentication")
        anonymous = isinstance(authentication, dict) and authentication.get("selection") == "anonymous"
        if anonymous and sent.get("encryption", True) is True:
            yield wrong("contradiction", "Must be false with anonymous.", "encryption")


class NfsTarget(Body):
    """A directory that an NFS server exports."""

    destination = Destination("type", "server")

    type: Literal["nfs"] = Field(description="NFS; neither encrypted nor authenticated.")
    server: Address = Field(description="The file server.")
    path: AbsoluteDirectory = Field(description="Absolute path as the server exports it.", examples=["/data/backup"])


class NoTarget(Body):
    """Nothing is copied."""

    type: Literal["none"] = Field(description="Nothing is copied, only cleaned up.")


def start_times(least: int) -> Any:
    """Return the type of a list of times of day."""
    return Annotated[list[TimeOfDay], Elements(least=least, most=24, unique=str)]


class TransferPolicy(Body):
    """What every policy that moves files says."""

    name: Name = Field(description="Name of the policy, unique.", examples=["nightly"])
    include_node_id_in_path: bool = Field(
        default=False, description="Whether files go into a directory named after the node, for nodes that share a target."
    )
    notification_event: NotificationEvent = Field(MailOfErrors(type="errors-only"), description="What is told by mail.")


def is_unprotected(target: RsyncTarget | SmbTarget | NfsTarget | S3Target | NoTarget) -> bool:
    """Whether anybody on the network can read what goes to a target, and change it."""
    return isinstance(target, NfsTarget) or (
        isinstance(target, SmbTarget) and isinstance(target.authentication, AnonymousAuthentication)
    )
