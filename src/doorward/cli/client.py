"""The REST API as a client sees it. The only module that speaks HTTP."""

from __future__ import annotations

import base64
import ipaddress
import re
import ssl
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Self
from urllib.parse import quote, urlsplit

import httpx2

from doorward.cli.failures import CommandRefusedError, LoginRefused, Unreachable, Untrusted, Usage

SECONDS = 60.0
"""Longer than any answer of the server takes."""
TRANSACTION = "/api/transaction"
_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
WAIT_SECONDS = 30
"""How long an answer may wait for the end of what a request began; less than ``SECONDS``."""
_PIECE = 1 << 18
"""Bytes of a file that are sent or written at a time."""


@dataclass(frozen=True, slots=True)
class ClientResponse:
    """What the server said: the JSON of its answer, and the entity tag of the resource."""

    content: dict[str, Any]
    etag: str = ""

    @property
    def meta(self) -> dict[str, Any]:
        """The ``meta`` of the answer."""
        found: dict[str, Any] = self.content.get("meta", {})
        return found


def checked_url(url: str, given_by: str = "--url") -> str:
    """Return the address of a server without a path. Raises Usage, which names where the address was given."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "https" and parts.hostname and not parts.username and (parts.port or 443)
        if usable and not (parts.path.strip("/") or parts.query or parts.fragment):
            return f"https://{parts.netloc}"
    except ValueError:
        pass  # brackets or a port that are none
    raise Usage(f"{given_by} must be https://HOST:PORT, not {url}.")


def on_this_machine(url: str) -> bool:
    """Whether an address is that of the machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Client:
    """One login session. Writes are strict: a member that the server does not know is an error.

    ``server_name`` is what the certificate has to be for, if not the host of the address. ``warnings`` collects the warnings of
    all answers. Raises Refused where the API refuses, Unreachable where there is none, Untrusted where another one answers.
    """

    def __init__(self, url: str, context: ssl.SSLContext, server_name: str | None = None, seconds: float = SECONDS) -> None:
        self.url = checked_url(url)
        self._extensions = {"sni_hostname": server_name} if server_name else {}
        self.warnings: list[Mapping[str, str]] = []
        self._login = "", ""
        self._token: str | None = None
        # A proxy is for what is far away.
        self._http = httpx2.Client(
            base_url=self.url, verify=context, timeout=seconds, trust_env=not on_this_machine(self.url), follow_redirects=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Log out, which discards an open transaction, and close the connection."""
        try:
            if self._token is not None or self._http.cookies:  # what was left open would go on for the next one
                self._http.delete("/api/authentication", extensions=self._extensions)
        except httpx2.TransportError:
            pass  # the login session ends by itself
        self._http.close()

    def bear(self, token: str) -> None:
        """Bring a token with each request, in place of a login."""
        self._token = token
        self._http.headers["Authorization"] = f"Bearer {token}"

    def login(self, user: str, password: str) -> None:
        """Log in. Raises LoginRefused and Unreachable."""
        self._login = user, password
        credentials = base64.b64encode(f"{user}:{password}".encode(errors="surrogateescape")).decode()
        self._http.cookies.clear()
        try:
            self._request("GET", "/api/authentication", headers={"Authorization": f"Basic {credentials}"})
        except CommandRefusedError as refused:
            raise LoginRefused(f"{user} can't log in at {self.url}: {refused.lines[0].partition(': ')[2]}") from None

    def login_again(self) -> None:
        """Log in as before, where the login session has ended. Raises LoginRefused and Unreachable. A token needs no login."""
        if self._token is None:
            self.login(*self._login)

    def change_password(self, new: str) -> int:
        """Give the account that logged in another password; return the revision that has it."""
        order = {"current": self._login[1], "new": new}
        answer = self.write("PUT", "/api/user/password", order, about="The new password")
        self._login = self._login[0], new
        return int(answer.meta["revision"])

    def get(self, path: str, query: Mapping[str, str] | None = None) -> ClientResponse:
        """Read a resource."""
        return self._request("GET", path, params=query) if query else self._request("GET", path)

    def lines(self, path: str, query: Mapping[str, str]) -> Iterator[str]:
        """Yield lines of text as they come. Raises Unreachable, also where they break off, and Refused.

        Only a line feed ends a line: what sessions sent may hold everything else that Unicode takes for an end.
        """
        rest = b""
        try:
            with self._http.stream("GET", path, params=dict(query), extensions=self._extensions) as answer:
                if answer.is_error:
                    answer.read()
                    raise CommandRefusedError(answer.status_code, answer.json()["error"], path)
                for piece in answer.iter_bytes():
                    *whole, rest = (rest + piece).split(b"\n")
                    yield from (line.decode("utf-8", "replace") for line in whole)
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None

    def events(self, path: str, query: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield server-sent events as they come: name and data. Raises Unreachable, also where they break off, and Refused."""
        name, data = "", []
        for line in self.lines(path, query):
            field, _, value = line.partition(":")
            if field == "event":
                name = value.removeprefix(" ")
            elif field == "data":
                data.append(value.removeprefix(" "))
            elif not line and data:
                yield name, "\n".join(data)
                name, data = "", []

    def body(self, path: str) -> Any:
        """Read the ``body`` of a resource."""
        return self.get(path).content["body"]

    def poll(self, path: str) -> Any:
        """Read the ``body`` of work that goes on; the answer waits until it is over, or a while."""
        return self._request("GET", path, headers={"Prefer": f"wait={WAIT_SECONDS}"}).content["body"]

    def write(self, method: str, path: str, value: Any = None, *, match: str = "", about: str = "") -> ClientResponse:
        """Send POST, PUT or DELETE. ``match`` is an entity tag for If-Match, ``about`` what error messages name."""
        headers = {"Prefer": "handling=strict"} | ({"If-Match": match} if match else {})
        if method == "DELETE" and value is None:
            return self._request(method, path, headers=headers, about=about)
        return self._request(method, path, headers=headers, json=value, about=about)

    def begin(self, path: str, value: Any) -> ClientResponse:
        """POST what takes a while; the answer waits for its end, or a while."""
        return self._request("POST", path, headers={"Prefer": f"handling=strict, wait={WAIT_SECONDS}"}, json=value)

    def set_up(self, path: str, value: Any, code: str | None) -> None:
        """POST the first settings of a node, with its one-time code."""
        headers = {"Prefer": "handling=strict"} | ({"X-Setup-Code": code} if code else {})
        self._request("POST", path, headers=headers, json=value, about="The first settings")

    def upload(self, path: str, file: IO[bytes]) -> ClientResponse:
        """Send the bytes of a file."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._request("POST", path, headers=headers, content=iter(partial(file.read, _PIECE), b""))

    def download(self, path: str, into: IO[bytes]) -> None:
        """Write the bytes of a resource into a file. Raises Unreachable, also where they end too early, and Refused."""
        try:
            with self._http.stream("GET", path, extensions=self._extensions) as answer:
                if answer.is_error:
                    answer.read()
                    raise CommandRefusedError(answer.status_code, answer.json()["error"], path)
                for piece in answer.iter_bytes(_PIECE):
                    into.write(piece)
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None

    def open(self) -> None:
        """Open the transaction: what is read from now on stays as it is until the commit."""
        self._request("POST", TRANSACTION, content=b"")

    def changes(self) -> list[dict[str, Any]]:
        """Return what the transaction changes."""
        found: list[dict[str, Any]] = self.get(f"{TRANSACTION}/changes").content["changes"]
        return found

    def commit(self, message: str | None, confirm_seconds: int | None = None) -> int:
        """Commit; returns the revision. Sent again when the answer gets lost: the server carries it out only once."""
        order: dict[str, Any] = {"status": "commit"} | ({"commit_message": message} if message else {})
        if confirm_seconds is not None:
            order["confirm_seconds"] = confirm_seconds
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        try:
            answer = self._request("PUT", TRANSACTION, headers=headers, json=order)
        except Unreachable:
            try:
                answer = self._request("PUT", TRANSACTION, headers=headers, json=order)
            except (Unreachable, CommandRefusedError):
                raise Unreachable(
                    "The answer to the commit got lost; `doorward history` tells whether it is in effect."
                ) from None
        return int(answer.meta["revision"])

    def _request(self, method: str, path: str, *, about: str = "", **options: Any) -> ClientResponse:
        try:
            answer = self._http.request(method, quote(path, safe="/?=&-._~"), extensions=self._extensions, **options)
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None
        except UnicodeEncodeError:
            raise Usage("What was given is no text in UTF-8.") from None
        if answer.is_redirect:  # no body: look elsewhere for what became of it
            return ClientResponse({"meta": {}})
        try:
            content = answer.json()
            if not isinstance(content.get("meta"), dict):
                raise TypeError
        except (ValueError, AttributeError, TypeError):
            raise Unreachable(f"What answers at {self.url} is not Doorward.") from None
        if answer.is_error:
            raise CommandRefusedError(answer.status_code, content["error"], about or path)
        found = ClientResponse(content, answer.headers.get("ETag", ""))
        self.warnings += found.meta.get("warnings", [])
        return found

    def _unreachable(self, error: Exception) -> Unreachable:
        text = _NUMBER.sub("", str(error)) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in text:
            why = text.partition("failed: ")[2].partition(" (_ssl")[0]
            return Untrusted(f"{self.url} does not answer: its certificate is not trusted ({why}).")
        if "not the pinned one" in text:
            return Untrusted(f"{self.url} is not trusted: {text.partition('] ')[2] or text}.")
        return Unreachable(f"{self.url} does not answer: {text}.")
