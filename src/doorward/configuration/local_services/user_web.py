"""The web listeners for users: ``/api/configuration/local_services/user_web``.

They have their own addresses and ports, or share whole lines with ``admin_web``. Who comes in by a line that is only for users
can't reach the configuration, transactions, the cluster, backups, firmware and the setup: these paths are refused there. A
commit takes effect as that of ``admin_web`` does.
"""

from __future__ import annotations

from doorward.configuration._web import USER_WEB, WebService
from doorward.tree.nodes import Singleton

PATH = USER_WEB


class UserWeb(WebService):
    """Where users are served, and which of them."""


NODE: Singleton[UserWeb] = Singleton(
    title="Web listeners for users",
    scope="node",
    model=UserWeb,
    default={"access_restriction": {"enabled": False}, "listen": []},
)
"""``admin_web`` asks for the listeners and looks for conflicts: they may share addresses and ports."""
