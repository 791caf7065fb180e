"""``/api/firmware`` and ``/api/upload``: the running release, and what can't be done to it over REST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from doorward import SPS_LEVEL
from doorward.api import errors
from doorward.api.request import Request, Response
from doorward.api.resources import FILE, ITEMS, Container, Operation, Resource, answer_schema, meta
from doorward.tree.problems import Problem

BASIC = "/special/basic"


def not_supported(request: Request) -> NoReturn:
    """Refuse an action that this release does not have."""
    problem = Problem("not_supported", "Not supported by this release.", "", request.href)
    raise errors.meaning([problem])


class Unsupported(Resource):
    """An action of the original that this release does not have. The body is read to its end and thrown away."""

    operations = {
        "POST": Operation(
            "Refused: not supported by this release.",
            answer_schema(),
            errors=(400, 403),
            content={"application/octet-stream": FILE, "application/json": {}},
            description="An action of SPS that this release does not honour yet. The body is read and thrown away.",
        )
    }
    media_types = ()

    def __init__(self, privilege: str = BASIC) -> None:
        self.privilege = privilege

    async def post(self, request: Request) -> Response:
        """Refuse."""
        await request.drain()
        not_supported(request)


_SLOT = {
    "after_reboot": True,
    "current": True,
    "upgrade_news": None,
    "upgrade_notes": None,
    "version": SPS_LEVEL,
}


class Slots(Resource):
    """The one slot, which holds the running release."""

    operations = {
        "GET": Operation("The installed releases: one, the running one.", answer_schema(body={"type": "object"}, items=ITEMS))
    }
    privilege = BASIC

    def __init__(self) -> None:
        self.children = {"1": Slot()}

    async def get(self, request: Request) -> Response:
        """List the slot; both of the forms that clients read."""
        item = {"body": _SLOT, "key": "1", "meta": {"href": f"{request.href}/1"}}
        return Response({"body": {"after_reboot": "1", "current": "1"}, "items": [item], "meta": meta(request)})


class Slot(Resource):
    """The running release."""

    operations = {"GET": Operation("The running release.", answer_schema(body={"type": "object"}, key={"const": "1"}))}
    privilege = BASIC

    async def get(self, request: Request) -> Response:
        """Answer the slot."""
        return Response({"body": _SLOT, "key": "1", "meta": meta(request)})


class Firmware(Container):
    """The releases of the appliance, with named links beside the items."""

    async def get(self, request: Request) -> Response:
        """List the children, and link them by name."""
        answer = await super().get(request)
        answer.meta.update({name: f"{request.href}/{name}" for name in self.children})
        return answer


def firmware_resources(uploads: Mapping[str, Resource]) -> dict[str, Any]:
    """Return what hangs below ``/api``; ``uploads`` are the places for uploads that this release knows."""
    actions = {name: Unsupported() for name in ("fetch", "test", "upgrade")}
    return {
        "firmware": Firmware({**actions, "slots": Slots()}),
        "upload": Container({"firmware": Unsupported(), "plugins": Unsupported("/special/pol"), **uploads}),
    }
