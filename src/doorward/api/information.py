"""``/api/info`` and ``/api/user/info``: who is answering, who is asking (protocol, section 11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from doorward import BUILD_DATE, SPS_LEVEL, __version__
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, envelope, meta_schema
from doorward.configuration.network import naming
from doorward.membership.cluster_role import cluster_role
from doorward.transaction.candidate import Running

_TEXT = {"type": "string"}
_ABOUT = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("domainname", "hostname"), _TEXT),
        "nickname": {"type": ["string", "null"]},
        "plugin_sdk_version": {"type": ["string", "null"]},
        "support_link": {"type": ["string", "null"]},
        "analytics_enabled": {"type": "boolean"},
        **dict.fromkeys(("build_date", "config_hash", "firmware_version", "version"), _TEXT),
        "product": {"type": "object", "properties": {"name": _TEXT, "version": _TEXT}, "required": ["name", "version"]},
        "roles": {"type": "array", "items": _TEXT},
    },
    "required": ["domainname", "hostname", "nickname"],
    "description": "Without a login session only what is required.",
}
_USER = {
    "type": "object",
    "properties": {
        "acls": {"type": "array", "items": {"type": "object"}},
        "groups": {"type": "array", "items": _TEXT},
        **dict.fromkeys(("login_method", "name"), _TEXT),
        "token": {**_TEXT, "description": "What browsers send as X-Token."},
    },
    "required": ["acls", "groups", "login_method", "name", "token"],
}


class Info(Resource):
    """What answers here. Anonymous callers see less."""

    operations = {
        "GET": Operation(
            "Name, release and roles of the node.", answer_schema(body=_ABOUT, key={"type": "string", "const": "about_info"})
        )
    }
    anonymous = frozenset({"GET", "HEAD"})
    extends = False

    def __init__(self, running: Callable[[], Running], node_id: str) -> None:
        self._running, self._node_id = running, node_id

    async def get(self, request: Request) -> Response:
        """Answer the figures of the release and the node. ``meta.node``, the id of the node, is an extension."""
        running = self._running()
        node = running.snapshot.read(naming.NODE)
        body: dict[str, Any] = {
            "domainname": node.domainname,
            "hostname": node.hostname,
            "nickname": node.nickname,
            "plugin_sdk_version": None,
            "support_link": None,
        }
        if request.login is not None:
            body |= {
                "analytics_enabled": False,
                "build_date": BUILD_DATE,
                "config_hash": running.hash[:32],
                "firmware_version": SPS_LEVEL,
                "product": {"name": "Doorward", "version": __version__},
                "roles": list(cluster_role(running.snapshot).roles),
                "version": SPS_LEVEL,
            }
            return envelope(request, "about_info", body, node=self._node_id)
        return envelope(request, "about_info", body)


_META = meta_schema(
    "UserMeta", everything={"type": "boolean", "const": True, "description": "The account may do everything, whatever its acls."}
)


class UserInfo(Resource):
    """The caller's account, rights and X-Token."""

    operations = {
        "GET": Operation(
            "The caller's account, rights and token.",
            answer_schema(_META, body=_USER, key={"type": "string", "const": "user_info"}),
        )
    }

    async def get(self, request: Request) -> Response:
        """Answer the rights of now."""
        login = request.member
        body = {
            "acls": [line.model_dump(mode="json") for line in login.rights.lines],
            "groups": list(login.rights.groups),
            "login_method": "local",
            "name": login.name,
            "token": login.token,
        }
        return envelope(request, "user_info", body, **({"everything": True} if login.rights.everything else {}))
