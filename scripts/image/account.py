"""An account that this machine has not: for the time of a trial, in a name space of mounts and processes.

It has a password, so that it can be logged in to, and numbers of its own, so that it runs containers without root.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

NAME: Final = "doorward-trial"
OWNER: Final = 64124
PASSWORD: Final = "of-the-target"  # noqa: S105 - of an account that lives as long as the trial
_SUBORDINATE: Final = f"{NAME}:1000341504:65536\n"
"""Numbers that no system gives away by itself, as many as an image may use."""
_MOUNTS: Final = 'for name in passwd subuid subgid; do mount --bind "$1/$name" "/etc/$name"; done; shift; exec "$@"'


def have(directory: Path, command: list[str]) -> int:
    """Run a command where there is the account; its home is in ``directory``, and is its own. Return the code of the end."""
    home = directory / "home"
    home.mkdir(mode=0o700)
    subprocess.run(["chown", f"{OWNER}:{OWNER}", str(home)], check=True)
    hashed = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, capture_output=True, check=True, text=True)
    line = f"{NAME}:{hashed.stdout.strip()}:{OWNER}:{OWNER}::{home}:/bin/sh\n"
    with tempfile.TemporaryDirectory(prefix="doorward-account-", dir=directory) as made:
        for name, more in (("passwd", line), ("subuid", _SUBORDINATE), ("subgid", _SUBORDINATE)):
            there = Path("/etc", name)
            Path(made, name).write_text((there.read_text() if there.exists() else "") + more)
            Path(made, name).chmod(0o644)
            there.touch()
        Path(made).chmod(0o755)
        apart = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--"]
        return subprocess.run([*apart, "sh", "-euc", _MOUNTS, "sh", made, *command], check=False).returncode


def as_account(home: Path) -> list[str]:
    """Return what comes before a command that the account runs."""
    words = {
        "HOME": home,
        "USER": NAME,
        "XDG_RUNTIME_DIR": home / "run",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
    }
    confined = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups", "--inh-caps=-all", "--"]
    return [*confined, "env", "--ignore-environment", f"--chdir={home}", *(f"{name}={value}" for name, value in words.items())]


def again(module: str, *words: str) -> list[str]:
    """Return the command that runs a module of ours as this one runs."""
    return [sys.executable, "-m", module, *words]
