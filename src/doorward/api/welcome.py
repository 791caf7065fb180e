"""``GET /``: leads whoever comes with a browser to the console, and says what this is to whoever follows no redirect."""

from __future__ import annotations

from doorward import __version__
from doorward.api.console import ROOT
from doorward.api.request import Request, Response
from doorward.api.resources import Container

_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Doorward</title>
</head>
<body>
<h1>Doorward</h1>
<p>This is a Doorward {__version__} appliance. People use <a href="{ROOT}/">the console</a>.</p>
<ul>
<li>The API is below <code>/api</code>, compatible with the one of One Identity Safeguard for Privileged Sessions. Log in with
<code>GET /api/authentication</code>.</li>
<li>Its description for programs, OpenAPI 3.1, is <code>/api/openapi.json</code>, once you are logged in.</li>
<li>Whether the appliance is ready: <a href="/api/setup"><code>/api/setup</code></a>.</li>
<li>The documentation is in the folder <code>docs</code> of Doorward's source: <code>guide.md</code> to begin with,
<code>api.md</code> for programmers, <code>operations.md</code> for operators.</li>
</ul>
</body>
</html>
""".encode()
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Content-Type": "text/html; charset=utf-8",
    "Location": f"{ROOT}/",
    "Referrer-Policy": "no-referrer",
}


class Welcome(Container):
    """The root: the way to the console, and everything else below."""

    operations = {}
    """Not part of the API."""
    is_public = True
    """To ask for a login would open a dialogue of the browser."""
    extends = False

    def allow(self) -> tuple[str, ...]:
        """Return the methods of the page."""
        return ("GET", "HEAD", "OPTIONS")

    async def get(self, _request: Request) -> Response:
        """Answer the redirect."""
        return Response(_PAGE, 303, dict(_HEADERS))
