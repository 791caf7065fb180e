"""A real slapd, a child of the test: STARTTLS on one port, TLS from the first byte on on another; people and groups."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.support.ports import free_port
from tests.support.server import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.pki import Authority

BASE = "dc=example,dc=com"
BINDER, BINDER_PASSWORD = f"cn=binder,{BASE}", "the-binder-s-password"
ALICE_PASSWORD = "alice's own"

_LDIF = f"""
dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,{BASE}
objectClass: organizationalUnit
ou: people

dn: ou=groups,{BASE}
objectClass: organizationalUnit
ou: groups

dn: {BINDER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: binder
userPassword: {BINDER_PASSWORD}

dn: uid=alice,ou=people,{BASE}
objectClass: inetOrgPerson
objectClass: posixAccount
uid: alice
cn: Alice
sn: A
uidNumber: 1000
gidNumber: 1000
homeDirectory: /nonexistent
userPassword: {ALICE_PASSWORD}

dn: uid=two,ou=people,{BASE}
objectClass: inetOrgPerson
uid: two
uid: twice
cn: Two
sn: T

dn: cn=second,ou=people,{BASE}
objectClass: inetOrgPerson
uid: twice
cn: second
sn: T

dn: cn=dba,ou=groups,{BASE}
objectClass: posixGroup
cn: dba
gidNumber: 2000
memberUid: alice

dn: cn=night shift,ou=groups,{BASE}
objectClass: groupOfNames
cn: night shift
member: uid=alice,ou=people,{BASE}
"""


@dataclass
class Slapd:
    """A directory. Its certificate is for 127.0.0.1, signed by ``authority``."""

    directory: Path
    authority: Authority
    port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Fill the directory and start the daemon; wait until it listens."""
        program = shutil.which("slapd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert program, "slapd is not installed (Debian package slapd)"
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "data").mkdir()
        self.authority.identity("directory").written(self.directory, "server")
        (self.directory / "ca.pem").write_text(self.authority.pem)
        configuration = self.directory / "slapd.conf"
        configuration.write_text(self._configuration())
        (self.directory / "content.ldif").write_text(_LDIF.strip())
        add = ["slapadd", "-f", str(configuration), "-l", str(self.directory / "content.ldif")]
        subprocess.run([program.replace("slapd", add[0]), *add[1:]], check=True, capture_output=True)
        urls = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen([program, "-f", str(configuration), "-h", urls, "-d", "0"], stdout=log, stderr=log)
        until(self._answers, what="slapd")
        return self

    def stop(self) -> None:
        """End the daemon."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "log").read_text()
        asked = ["ldapsearch", "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-s", "base", "-b", "", "1.1"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    def _configuration(self) -> str:
        at = self.directory
        schemas = "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson", "nis"))
        return (
            f"{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\n"
            f"pidfile {at}/pid\nTLSCertificateFile {at}/server.pem\nTLSCertificateKeyFile {at}/server.key\n"
            f'database mdb\nsuffix "{BASE}"\nrootdn "cn=root,{BASE}"\ndirectory {at}/data\n'
            f"access to attrs=userPassword by anonymous auth by * none\n"
            f'access to * by dn.exact="{BINDER}" read by * auth\n'
        )
