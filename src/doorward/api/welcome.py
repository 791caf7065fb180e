"""``GET /``: one page for people who come with a browser. It says what this is and where the API and the documentation are."""

from __future__ import annotations

import base64
import hashlib

from doorward import __version__
from doorward.api.request import Request, Response
from doorward.api.resources import Container

_STYLE = "body{font:1rem/1.6 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}code{font-size:.95em}"
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Doorward</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<h1>Doorward</h1>
<p>This is a Doorward {__version__} appliance. It is managed through a REST API, compatible with the one of One Identity Safeguard
for Privileged Sessions, and with the command <code>doorward</code>. It has no web console yet.</p>
<ul>
<li>The API is below <code>/api</code>. Log in with <code>GET /api/authentication</code>.</li>
<li>Its description for programs, OpenAPI 3.1, is <code>/api/openapi.json</code>, once you are logged in.</li>
<li>Whether the appliance is ready: <a href="/api/setup"><code>/api/setup</code></a>.</li>
<li>The documentation is in the folder <code>docs</code> of Doorward's source: <code>guide.md</code> to begin with,
<code>api.md</code> for programmers, <code>operations.md</code> for operators.</li>
</ul>
</body>
</html>
""".encode()
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Content-Type": "text/html; charset=utf-8",
    "Referrer-Policy": "no-referrer",
}


class Welcome(Container):
    """The root: the page, and everything else below."""

    operations = {}
    """Not part of the API."""
    is_public = True
    """To ask for a login would open a dialogue of the browser."""
    extends = False

    def allow(self) -> tuple[str, ...]:
        """Return the methods of the page."""
        return ("GET", "HEAD", "OPTIONS")

    async def get(self, _request: Request) -> Response:
        """Answer the page."""
        return Response(_PAGE, headers=dict(_HEADERS))
