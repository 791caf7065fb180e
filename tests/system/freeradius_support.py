"""A real FreeRADIUS, a child of the test: some users with passwords, one that is asked for a code afterwards.

Answers are signed but for one user, as those of servers that know nothing of CVE-2024-3596.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.support.ports import free_port
from tests.support.server import until

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "shared-with-the-gateway"
ALICE_PASSWORD, TOKEN_PASSWORD, CODE = "radius-alice", "radius-token", "246810"

_CONFIGURATION = """
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = %(at)s
run_dir = %(at)s
logdir = %(at)s
name = freeradius
pidfile = %(at)s/pid
max_request_time = 10
cleanup_delay = 2
max_requests = 1024
log {
  destination = stdout
  auth = no
}
security {
  max_attributes = 200
  reject_delay = 0
  status_server = yes
}
thread pool {
  start_servers = 2
  max_servers = 4
  min_spare_servers = 1
  max_spare_servers = 2
  max_requests_per_server = 0
}
client gateway {
  ipaddr = 127.0.0.1
  secret = %(secret)s
  require_message_authenticator = yes
}
modules {
  pap {
    normalise = no
  }
  always handled {
    rcode = handled
  }
  always reject {
    rcode = reject
  }
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = %(port)d
  }
  authorize {
    if (!&Calling-Station-Id || !&NAS-Identifier) {
      reject
    }
    if (&User-Name == "alice" || &User-Name == "unsigned") {
      update control {
        &Cleartext-Password := "%(alice)s"
      }
    }
    elsif (&User-Name == "token") {
      if (&State) {
        if (&State != 0x7468652d7374617465) {
      reject
    }
        update control {
        &Cleartext-Password := "%(code)s"
      }
      }
      else {
        update control {
        &Cleartext-Password := "%(token)s"
      }
      }
    }
    else {
      reject
    }
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
      if (ok && &User-Name == "token" && !&State) {
        update reply {
          &Reply-Message := "Code of your token"
          &State := 0x7468652d7374617465
        }
        update control {
          &Response-Packet-Type := Access-Challenge
        }
        handled
      }
    }
  }
  post-auth {
    if (&User-Name != "unsigned") {
      update reply {
        &Message-Authenticator := 0x00
      }
    }
    Post-Auth-Type REJECT {
      update reply {
        &Message-Authenticator := 0x00
      }
    }
    Post-Auth-Type Challenge {
      update reply {
        &Message-Authenticator := 0x00
      }
    }
  }
}
"""


@dataclass
class FreeRadius:
    """A RADIUS server on 127.0.0.1."""

    directory: Path
    port: int = field(default_factory=lambda: free_port(kind=socket.SOCK_DGRAM))
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the daemon; wait until it is ready."""
        program = shutil.which("freeradius", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert program, "freeradius is not installed (Debian package freeradius)"
        self.directory.mkdir(parents=True, exist_ok=True)
        values = {
            "at": self.directory, "secret": SECRET, "port": self.port, "alice": ALICE_PASSWORD, "token": TOKEN_PASSWORD,
            "code": CODE,
        }  # fmt: skip
        (self.directory / "radiusd.conf").write_text(_CONFIGURATION % values)
        (self.directory / "dictionary").write_text("")
        self.directory.chmod(0o700)
        log = self.directory / "log"
        with log.open("ab") as opened:
            command = [program, "-f", "-l", "stdout", "-d", str(self.directory), "-n", "radiusd"]
            self.process = subprocess.Popen(command, stdout=opened, stderr=opened)
        until(lambda: self._is_ready(log), what="freeradius")
        return self

    def _is_ready(self, log: Path) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, log.read_text()
        return "Ready to process requests" in log.read_text()

    def stop(self) -> None:
        """End the daemon."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
