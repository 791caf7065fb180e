"""The command lines of ``docs/recovery.md``, run word for word by whoever holds the key."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import ssl
import subprocess
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support import openpgp
from tests.support.server import PASSWORD, Server
from tests.support.zygote import UNMEASURED
from tests.system.command_line import PROGRAM, CommandLine

RECOVERY = Path(__file__).parents[2] / "docs/recovery.md"


def run_line(machine: Server, archive: str, signer: str, home: Path, storage: Any) -> subprocess.CompletedProcess[str]:
    """Restore an archive of a storage onto a machine by the line for its kind."""
    line = re.search(rf"```sh\n# {storage.kind}\n(.*?)```", RECOVERY.read_text(), re.DOTALL)
    assert line
    storage.held_by(home)
    (home / "first-password").write_text(PASSWORD)
    user = CommandLine(machine, home)
    given = {"URL": machine.url, "PIN": pin_of(machine), "SIGNER": signer, "ARCHIVE": archive, "GNUPGHOME": str(openpgp.home())}
    environment = user.environment(**given, **storage.variables(), PATH=f"{PROGRAM.parent}:{os.environ['PATH']}") | UNMEASURED
    for name in ("DOORWARD_URL", "DOORWARD_CA", "DOORWARD_PASSWORD"):
        environment.pop(name)
    command = ["bash", "-euo", "pipefail", "-c", line[1]]
    return subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)


def pin_of(machine: Server) -> str:
    """What ``doorward status`` shows on the machine."""
    port = int(machine.url.rpartition(":")[2])
    shown = x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode()).public_key()
    digest = hashlib.sha256(shown.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return f"sha256//{base64.b64encode(digest).decode()}"
