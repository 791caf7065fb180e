"""Who has a port when two services want it, and what the web services want. No endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from doorward.configuration._web import WEB
from doorward.configuration.management import certificates
from doorward.configuration.network._addresses import ip_of
from doorward.host.claims import Claim
from doorward.host.resources import AccessRule
from doorward.tree.snapshot import Snapshot

REDIRECT = "redirect"
"""The service of the ports that only lead to HTTPS."""


class Rank(IntEnum):
    """Who comes first: what everything else can be put right by."""

    ADMIN_WEB = 0
    USER_WEB = 1
    CLUSTER = 2
    SESSIONS = 3


def web_claims(snapshot: Snapshot, path: str, rank: Rank) -> Iterator[Claim]:
    """Yield what a web service wants, line by line. Addresses that are on no interface are left out.

    Two web services may share whole lines: address and both ports.
    """
    service, name, shows = snapshot.read(WEB[path]), path.rpartition("/")[2], certificates.shown(snapshot)
    for index, line in enumerate(service.listen):
        address, at = ip_of(snapshot, line.address), f"/listen/{index}"
        if address is None:
            continue
        shared = address, line.http_port, line.https_port
        rule = AccessRule(name, service.allowed_from)
        yield Claim(
            address=address, port=line.https_port, rule=rule, path=path, pointer=f"{at}/https_port", rank=rank, shared=shared,
            shows=shows,
        )  # fmt: skip
        if line.http_port is not None:
            rule = AccessRule(REDIRECT, service.allowed_from)
            yield Claim(
                address=address, port=line.http_port, rule=rule, path=path, pointer=f"{at}/http_port", rank=rank, shared=shared,
                https_port=line.https_port,
            )  # fmt: skip
