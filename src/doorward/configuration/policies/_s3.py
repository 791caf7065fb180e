"""Where files go in an object store that speaks S3. No endpoint; what backup policies refer to (amendment 23)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import InitErrorDetails, PydanticCustomError

from doorward.configuration import passwords
from doorward.configuration._tls import CertificateReference
from doorward.tree.destinations import Destination
from doorward.tree.fields import bad_format, host_name, ip_address, matching
from doorward.tree.models import Body, Interrelated, Off, Switched, wrong
from doorward.tree.references import Reference, RefersTo


def _host(value: str) -> tuple[str, bool]:
    """Return the host of an endpoint, and whether it is an address. Raises ValueError or PydanticCustomError."""
    parts = urlsplit(value)
    host, port = parts.hostname or "", parts.port
    literal = f"[{host}]" if ":" in host else host
    if value != f"https://{literal}" + ("" if port is None else f":{port}") or port == 0:
        raise ValueError(value)
    try:
        return ip_address(host), True
    except (PydanticCustomError, ValueError):
        return host_name(host), False


def _endpoint(value: str) -> str:
    try:
        _host(value)
    except (PydanticCustomError, ValueError):
        message = "Must be https:// with a host in lower case and perhaps a port, such as https://s3.example.com:9000."
        raise bad_format(message) from None
    return value


class ObjectLock(Body):
    """Files can't be deleted for a while, by nobody who has the rights of this node."""

    enabled: Literal[True] = Field(description="Each file is locked as it is written; the bucket must have object lock.")
    mode: Literal["governance", "compliance"] = Field(
        description="governance: some may still delete, this node never asks for that; compliance: nobody may."
    )
    days: Annotated[int, Field(ge=1, le=36_500)] = Field(description="Days that a file is locked from when it is written.")


ObjectLockSwitch = Annotated[ObjectLock | Off, Switched()]


class S3Target(Interrelated):
    """A bucket of an object store."""

    destination = Destination("type", "endpoint", "bucket", "path_style", "server_certificate_ca")

    type: Literal["s3"] = Field(description="S3 over HTTPS.")
    endpoint: Annotated[str, StringConstraints(max_length=300), AfterValidator(_endpoint)] = Field(
        description="The server; without a path, and always https.", examples=["https://s3.example.com"]
    )
    region: Annotated[
        str, StringConstraints(max_length=64), AfterValidator(matching("[a-z0-9-]+", "Only a-z, 0-9 and - are allowed."))
    ] = Field("us-east-1", description="The region that requests are signed for.")
    bucket: Annotated[
        str,
        StringConstraints(min_length=3, max_length=63),
        AfterValidator(matching("[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", "Only a-z, 0-9, . and - are allowed, neither at an end.")),
    ] = Field(description="The bucket. It must exist.", examples=["doorward-backups"])
    prefix: Annotated[
        str,
        StringConstraints(max_length=512),
        AfterValidator(
            matching(
                r"(?:(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)*)?",
                "Must be names of letters, digits and . _ -, joined by /.",
            )
        ),
    ] = Field("", description="What keys begin with, names joined by /; empty: nothing.", examples=["doorward/node1"])
    path_style: bool = Field(
        default=True, description="Whether the bucket stands in the path of requests; else before the name of the server."
    )
    access_key_id: Annotated[
        str,
        StringConstraints(max_length=128),
        AfterValidator(matching("[A-Za-z0-9_.@+=-]+", "Only letters, digits and _ . @ + = - are allowed.")),
    ] = Field(description="Who signs requests.", examples=["AKIAIOSFODNN7EXAMPLE"])
    secret_access_key: Annotated[Reference[passwords.StoredPassword], RefersTo(passwords.NODE, form="sealed")] = Field(
        description="Key of the password that is the secret key."
    )
    server_certificate_ca: CertificateReference | None = Field(
        None, description="An authority that must have signed the certificate of the server; null: any that the system trusts."
    )
    object_lock: ObjectLockSwitch = Field(Off(enabled=False), description="Whether files are locked.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """There is nothing before an address."""
        endpoint = sent.get("endpoint")
        try:
            is_address = isinstance(endpoint, str) and _host(endpoint)[1]
        except (PydanticCustomError, ValueError):
            return
        if is_address and sent.get("path_style", True) is False:
            yield wrong("contradiction", "Must be true with the address of a server.", "path_style")
