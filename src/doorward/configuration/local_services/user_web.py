"""The web listeners for users: ``/api/configuration/local_services/user_web``.

They have their own addresses and ports, or share whole lines with ``admin_web``. Who comes in by a line that is only for users
can't reach the configuration, transactions, the cluster, backups, firmware and the setup: these paths are refused there. A
commit takes effect as that of ``admin_web`` does.
"""

from __future__ import annotations

from collections.abc import Iterator

from doorward.configuration._claims import Rank, web_claims
from doorward.configuration._web import USER_WEB, WebService
from doorward.configuration.management import certificates
from doorward.configuration.network._nics import PATHS as NICS
from doorward.host.claims import Claim
from doorward.tree.nodes import Singleton
from doorward.tree.snapshot import Snapshot

PATH = USER_WEB


class UserWeb(WebService):
    """Where users are served, and which of them."""


def claims(snapshot: Snapshot) -> Iterator[Claim]:
    """Want every line's address and ports."""
    return web_claims(snapshot, PATH, Rank.USER_WEB)


NODE: Singleton[UserWeb] = Singleton(
    title="Web listeners for users",
    scope="node",
    model=UserWeb,
    default={"access_restriction": {"enabled": False}, "listen": []},
    claims=claims,
    reads=(certificates.PATH, *NICS),
)
