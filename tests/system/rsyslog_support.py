"""A real rsyslogd, a child of the test, that writes what it is sent to a file."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from tests.support.ports import free_port
from tests.support.server import until
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

_TEMPLATE = """
template(name="json" type="list") {
  constant(value="{")
  property(name="inputname" outname="input" format="jsonf") constant(value=",")
  property(name="syslogfacility-text" outname="facility" format="jsonf") constant(value=",")
  property(name="syslogseverity-text" outname="severity" format="jsonf") constant(value=",")
  property(name="hostname" outname="host" format="jsonf") constant(value=",")
  property(name="programname" outname="program" format="jsonf") constant(value=",")
  property(name="protocol-version" outname="version" format="jsonf") constant(value=",")
  property(name="timereported" outname="time" format="jsonf" dateFormat="rfc3339") constant(value=",")
  property(name="msgid" outname="msgid" format="jsonf") constant(value=",")
  property(name="structured-data" outname="data" format="jsonf") constant(value=",")
  property(name="msg" outname="text" format="jsonf")
  constant(value="}\\n")
}
"""


@dataclass
class Rsyslog:
    """Receivers for UDP, TCP and TLS. ``certificate`` and ``authority`` are files; clients must show a certificate of it."""

    directory: Path
    certificate: tuple[Path, Path]
    authority: Path
    udp: int = field(default_factory=lambda: free_port(kind=socket.SOCK_DGRAM))
    tcp: int = field(default_factory=free_port)
    tls: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the daemon; wait until it listens."""
        program = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin:/sbin")
        assert program, "rsyslogd is not installed (Debian packages rsyslog and rsyslog-openssl)"
        self.directory.mkdir(exist_ok=True)
        configuration = self.directory / "rsyslog.conf"
        configuration.write_text(self._configuration())
        command = [program, "-n", "-f", str(configuration), "-i", str(self.directory / "pid")]
        with self._own.open("ab") as own:
            self.process = subprocess.Popen(command, stdout=own, stderr=own)
        for port in (self.tcp, self.tls):
            until(partial(self._listens, port), what=f"rsyslogd on port {port}")
        return self

    def _listens(self, port: int) -> bool:
        assert self.process
        assert self.process.poll() is None, "rsyslogd ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    def _configuration(self) -> str:
        return f"""
global(workDirectory="{self.directory}" defaultNetstreamDriverCAFile="{self.authority}"
       defaultNetstreamDriverCertFile="{self.certificate[0]}" defaultNetstreamDriverKeyFile="{self.certificate[1]}")
module(load="imudp")
module(load="imtcp")
{_TEMPLATE}
ruleset(name="keep") {{
  action(type="omfile" file="{self.directory / "records"}" template="json" asyncWriting="off" flushOnTXEnd="on")
}}
input(type="imudp" address="127.0.0.1" port="{self.udp}" name="udp" ruleset="keep")
input(type="imtcp" address="127.0.0.1" port="{self.tcp}" name="tcp" ruleset="keep")
input(type="imtcp" address="127.0.0.1" port="{self.tls}" name="tls" ruleset="keep"
      streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
"""

    @property
    def _own(self) -> Path:
        """What the daemon has to say itself."""
        return self.directory / "own"

    def stop(self) -> None:
        """End the daemon."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def records(self, **wanted: str) -> list[dict[str, Any]]:
        """The records so far whose properties hold these texts."""
        file = self.directory / "records"
        lines = file.read_text().splitlines() if file.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("}")]
        return [record for record in found if all(value in record[name] for name, value in wanted.items())]

    def wait_for(self, count: int = 1, **wanted: str) -> list[dict[str, Any]]:
        """Wait until there are so many records like that."""
        try:
            until(lambda: len(self.records(**wanted)) >= count, what=f"{count} records with {wanted}")
        except AssertionError as error:
            error.add_note(f"There are {self.records()}, and rsyslogd says:\n{self._own.read_text()}")
            raise
        return self.records(**wanted)
