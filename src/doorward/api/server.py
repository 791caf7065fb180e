"""The services that speak REST: behind the listeners for administrators and users, and behind the ports that only redirect."""

from __future__ import annotations

import os
import time

from doorward.api.app import Application, ForUsers, head
from doorward.api.console import Front
from doorward.api.errors import ApiError, bad_request, internal
from doorward.api.openapi import OpenApi
from doorward.api.request import Response
from doorward.listening.http.crowds import limit_connections
from doorward.listening.http.fields import response_head
from doorward.listening.http.options import Errors, HttpOptions
from doorward.listening.http.service import HttpService
from doorward.listening.redirect import redirect
from doorward.listening.tls import ServerIdentities
from doorward.tree.jsontext import encode

ADMIN = "admin_web"


def web_services(app: Application, tls: ServerIdentities | None) -> dict[str, HttpService]:
    """Return the services of the web listeners by name. Without ``tls`` they speak plain HTTP: for measurements."""
    errors = Errors(_malformed, lambda: _shown(internal(os.urandom(16).hex())))
    options = HttpOptions(errors=errors, make_room=limit_connections)
    front = Front(app, lambda: _describe(app))
    return {
        ADMIN: HttpService(front, HttpOptions(errors=errors, make_room=limit_connections, fast=app), tls),
        "redirect": HttpService(redirect, options),
        "user_web": HttpService(ForUsers(app), options, tls),
    }


def _describe(app: Application) -> None:
    """Have the description of the API ready, of which the console makes its pages."""
    described = app.root.children["api"].children["openapi.json"]
    if isinstance(described, OpenApi):
        described.prepare()


def _shown(refusal: ApiError) -> bytes:
    error = {"details": refusal.details, "message": refusal.message, "type": refusal.type}
    return encode({"error": error, "meta": {"href": "/", "parent": None}})


def _malformed() -> bytes:
    body = _shown(bad_request())
    answer = Response(body, 400, {"Connection": "close"})
    return response_head(400, head(answer, (), len(body), os.urandom(16).hex(), int(time.time()))) + body
