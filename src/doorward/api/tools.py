"""``/api/tools``: questions that the appliance asks its surroundings (protocol, section 11). No transaction."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from doorward.access.directory import Directory, DirectoryError, directory_of
from doorward.api import errors
from doorward.api.bodies import sent
from doorward.api.firmware import BASIC
from doorward.api.request import Request, Response
from doorward.api.resources import Container, Operation, Resource, answer_schema, envelope
from doorward.areas.threads import call_remote
from doorward.configuration.management import email
from doorward.configuration.policies import ldap_servers
from doorward.events.notifications import MailOutcome
from doorward.transaction.candidate import Running
from doorward.tree.fields import Confidential, HostName, Mail
from doorward.tree.models import Body
from doorward.tree.plaintext import plain
from doorward.tree.problems import Problem

_RESOLVE_SECONDS = 10.0


class Question(Body):
    """Which name is looked up, and for what."""

    hostname: HostName = Field(description="The name.")
    protocol: Literal["TCP", "UDP"] = Field(description="What the addresses are wanted for.")


_QUESTION: TypeAdapter[Question] = TypeAdapter(Question)
_KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


class HostsByName(Resource):
    """Looks a name up, as the appliance itself sees it."""

    operations = {
        "POST": Operation(
            "The addresses of a host name.",
            answer_schema(body={"type": "object"}, key={"const": "hosts-by-name"}),
            body=_QUESTION,
            errors=(400, 403),
        )
    }
    privilege = BASIC

    async def post(self, request: Request) -> Response:
        """Answer the addresses, none for an unknown name."""
        question, warnings = await sent(request, _QUESTION)
        return _answer(request, "hosts-by-name", {"addresses": await self._resolve(question)}, warnings)

    async def _resolve(self, question: Question) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                rows = await loop.getaddrinfo(question.hostname, None, type=_KINDS[question.protocol])
        except (OSError, TimeoutError):
            return []
        return list(dict.fromkeys(str(address[0]) for *_, address in rows))


class TestMail(Body):
    """Who gets a mail that tries the settings."""

    recipient: Mail | None = Field(None, description="Who gets the mail; null: admin_address of management/email.")


_TEST_MAIL: TypeAdapter[TestMail] = TypeAdapter(TestMail)
_OUTCOME = {
    "type": "object",
    "properties": {
        "code": {"enum": ["auth", "connect", "rejected", "resolve", "tls", None]},
        "message": {"type": "string"},
        "result": {"enum": ["failed", "sent"]},
    },
    "required": ["code", "message", "result"],
}


class MailTest(Resource):
    """Sends a mail at once by the running settings."""

    operations = {
        "POST": Operation(
            "Try the settings of management/email with a mail.",
            answer_schema(body=_OUTCOME, key={"const": "mailtest"}),
            body=_TEST_MAIL,
            errors=(400, 403),
        )
    }
    privilege = BASIC

    def __init__(self, running: Callable[[], Running], try_mail: Callable[[str], MailOutcome]) -> None:
        self._running, self._try = running, try_mail

    async def post(self, request: Request) -> Response:
        """Answer whether the mail server took the mail, or at which step it did not."""
        order, warnings = await sent(request, _TEST_MAIL)
        settings = self._running().snapshot.read(email.NODE)
        recipient = order.recipient or settings.admin_address
        missing = []
        if settings.smtp_server is None:
            missing.append(Problem("required_with", "No mail server is set.", "/smtp_server", email.PATH))
        if recipient is None:
            missing.append(Problem("required_with", "Needed while admin_address is not set.", "/recipient", request.href))
        if missing or recipient is None:
            raise errors.meaning(missing)
        outcome = await call_remote(self._try, recipient)
        body = {"code": outcome.code, "message": outcome.message, "result": outcome.result}
        return _answer(request, "mailtest", body, warnings)


class DirectoryTest(Body):
    """Which directory is tried, and for whom."""

    ldap_server: Annotated[str, StringConstraints(min_length=1, max_length=300)] = Field(
        description="Key of a directory of policies/ldap_servers in the running configuration."
    )
    username: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = Field(
        None, description="A user to look for; null: only the login and both bases are tried."
    )
    password: Annotated[str, StringConstraints(min_length=1, max_length=1024), Confidential] | None = Field(
        None, description="The password of the user, to try a login; null: the user is only looked for."
    )


_DIRECTORY_TEST: TypeAdapter[DirectoryTest] = TypeAdapter(DirectoryTest)
_DIRECTORY_OUTCOME = {
    "type": "object",
    "properties": {
        "code": {
            "enum": ["ambiguous", "bind", "connect", "library", "refused", "search", "timeout", "tls", "unknown_user", None]
        },
        "groups": {"type": "array", "items": {"type": "string"}},
        "message": {"type": "string"},
        "result": {"enum": ["failed", "ok"]},
    },
    "required": ["code", "groups", "message", "result"],
}


class LdapTest(Resource):
    """Asks a directory as sessions would, with the stored password towards the place that owns it alone."""

    operations = {
        "POST": Operation(
            "Try a directory of policies/ldap_servers, and a user in it.",
            answer_schema(body=_DIRECTORY_OUTCOME, key={"const": "ldaptest"}),
            body=_DIRECTORY_TEST,
            errors=(400, 403),
        )
    }
    privilege = "/special/pol"

    def __init__(self, running: Callable[[], Running], secret: Callable[[str], str | None]) -> None:
        self._running, self._secret = running, secret

    async def post(self, request: Request) -> Response:
        """Answer whether the directory, and the user in it, could be asked, or at which step that failed."""
        order, warnings = await sent(request, _DIRECTORY_TEST)
        snapshot = self._running().snapshot
        settings = snapshot.find(ldap_servers.NODE, order.ldap_server)
        missing = []
        if settings is None:
            missing.append(Problem("unknown_reference", "There is no such directory.", "/ldap_server", request.href))
        if order.password is not None and order.username is None:
            missing.append(Problem("required_with", "Needed with password.", "/username", request.href))
        if missing or settings is None:
            raise errors.meaning(missing, "request")
        body = await call_remote(_tried, directory_of(snapshot, settings, self._secret), order.username, order.password)
        return _answer(request, "ldaptest", body, warnings)


def _tried(directory: Directory, username: str | None, password: str | None) -> dict[str, Any]:
    """Ask a directory. Blocks."""
    try:
        if username is None:
            server = directory.probe()
            return _outcome(None, f"{server} took the login, and shows both bases.")
        found = directory.find(username) if password is None else directory.authenticate(username, password)
    except DirectoryError as error:
        return _outcome(error.code, str(error))
    if found is None and password is None:
        return _outcome("unknown_user", "The directory has no such user.")
    if found is None:
        return _outcome("refused", "There is no such user, or the password is wrong.")
    return _outcome(None, f"The directory knows {plain(found.dn)}.", found.groups)


def _outcome(code: str | None, message: str, groups: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "code": code,
        "groups": [plain(name) for name in groups],
        "message": message,
        "result": "ok" if code is None else "failed",
    }


def _answer(request: Request, key: str, body: dict[str, Any], warnings: list[dict[str, str]]) -> Response:
    return envelope(request, key, body, **({"warnings": warnings} if warnings else {}))


def tools(
    running: Callable[[], Running], try_mail: Callable[[str], MailOutcome], secret: Callable[[str], str | None]
) -> Container:
    """Return ``/api/tools``. ``secret`` returns secrets by their keys."""
    mail, directories = MailTest(running, try_mail), LdapTest(running, secret)
    return Container({"hosts-by-name": HostsByName(), "ldaptest": directories, "mailtest": mail})
