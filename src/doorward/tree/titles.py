"""Names of members, and values of choices, as people read them: "VLAN tag" for ``vlantag``, "Time zone" for ``timezone``.

The only place for such words: the schemas have titles by them, and so have the reference, ``explain`` and the console.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, str]] = {
    "Fri": "Friday", "Mon": "Monday", "Sat": "Saturday", "Sun": "Sunday", "Thu": "Thursday", "Tue": "Tuesday", "Wed": "Wednesday",
    "aa": "AA", "aaa": "accounts and access", "acls": "access control lists", "ad": "Active Directory", "admin": "administrator",
    "anonymize": "anonymise", "auth": "authentication", "auth-agent": "agent forwarding", "bruteforce": "brute-force",
    "ca": "CA", "cas": "CAs", "central-management": "Central Management", "commitlog": "commit log", "cpu": "CPU",
    "cred": "credential", "credentialstores": "credential stores", "crl": "CRL", "datetime": "date and time", "db": "database",
    "dn": "DN", "dns": "DNS", "domainname": "domain name", "ecdsa-p256": "ECDSA P-256", "ed25519": "Ed25519",
    "errors-only": "errors only", "eula": "EULA", "execs": "commands", "filelist": "file list", "fix": "fixed",
    "fqdn": "host name", "gid": "GID", "gpg": "GPG", "gssapi": "GSSAPI", "gw": "gateway", "ha": "HA", "hostkey": "host key",
    "hostkeys": "host keys", "hostname": "host name", "http": "HTTP", "https": "HTTPS", "ica": "ICA", "id": "ID",
    "inband": "in-band", "ip": "IP address",
    "ip_forwarding_rule_pairs": "IP forwarding rule pairs", "ipv4": "IPv4", "ipv6": "IPv6", "kex": "key exchange",
    "ldap": "LDAP", "ldaps": "LDAPS",
    "load1": "load (1 minute)", "load15": "load (15 minutes)", "load5": "load (5 minutes)",
    "local-forwards": "local port forwarding", "mac": "MAC", "macs": "MACs", "managed-host": "managed host",
    "memberof": "memberOf", "mssql": "MSSQL", "mtu": "MTU", "nat": "NAT", "nfs": "NFS", "nic": "NIC",
    "nics": "network interfaces", "ntp": "NTP", "nts": "NTS", "oid": "OID", "posix": "POSIX", "postgresql": "PostgreSQL",
    "psk": "pre-shared key", "radius": "RADIUS", "rdp": "RDP", "realtime": "real-time",
    "remote-forwards": "remote port forwarding", "rfc3164": "RFC 3164", "rfc5424": "RFC 5424", "rsa-4096": "RSA 4096",
    "s3": "S3", "saml2": "SAML 2.0", "scp": "SCP", "search-local": "local search",
    "search-master": "search master", "search-minion": "search minion", "session-exec": "commands",
    "session-exec-scp": "SCP", "session-shell": "shell", "session-subsystem": "subsystems",
    "session-subsystem-sftp": "SFTP", "sftp": "SFTP", "siem": "SIEM", "smb": "SMB", "smtp": "SMTP", "snat": "SNAT",
    "snmp": "SNMP", "ssh": "SSH", "starttls": "STARTTLS", "tcp": "TCP", "timedout": "timed out",
    "timeout": "time-out", "timestamp": "time stamp", "timestamping": "time stamping", "timezone": "time zone", "tls": "TLS",
    "totp": "TOTP", "tsa": "time stamping", "ttl": "TTL", "udp": "UDP", "uid": "UID", "uids": "UIDs", "uri": "address",
    "url": "address", "userlists": "user lists", "usermapping": "user mapping", "username": "user name",
    "vlantag": "VLAN tag", "vnc": "VNC", "webinterface": "web interface", "webserver": "web server", "x11": "X11",
    "x509": "X.509",
}  # fmt: skip
"""Names, and words of names, that are not read as they are written."""


def title_of(name: str) -> str:
    """Return the name of a member, of an endpoint, or of a value, as a title."""
    words = WORDS.get(name) or " ".join(WORDS.get(word, word) for word in name.strip("_@").split("_"))
    return words[:1].upper() + words[1:]
