"""Names of members as people read them: "VLAN tag" for ``vlantag``, "Time zone" for ``timezone``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_AS_SPOKEN: Final[Mapping[str, str]] = {
    "aaa": "accounts and access", "acls": "access control lists", "admin": "administrator", "anonymize": "anonymise",
    "auth": "authentication", "bruteforce": "brute-force", "cpu": "CPU", "credentialstores": "credential stores",
    "datetime": "date and time", "dns": "DNS", "domainname": "domain name", "fqdn": "host name", "gpg": "GPG",
    "hostkey": "host key", "hostkeys": "host keys", "hostname": "host name", "http": "HTTP", "https": "HTTPS", "ica": "ICA",
    "id": "ID", "ip": "IP", "ipv4": "IPv4", "ipv6": "IPv6", "kex": "key exchange", "ldap": "LDAP", "mac": "MAC", "macs": "MACs",
    "mssql": "MSSQL", "mtu": "MTU", "nfs": "NFS", "nic": "NIC", "nics": "network interfaces", "ntp": "NTP",
    "psk": "pre-shared key", "radius": "RADIUS", "rdp": "RDP", "rsync": "rsync", "s3": "S3", "scp": "SCP", "sftp": "SFTP",
    "smb": "SMB", "smtp": "SMTP", "snat": "SNAT", "snmp": "SNMP", "ssh": "SSH", "syslog": "syslog", "tcp": "TCP",
    "timeout": "time-out", "timezone": "time zone", "tls": "TLS", "totp": "TOTP", "tsa": "time stamping", "udp": "UDP",
    "uri": "address", "url": "address", "userlists": "user lists", "usermapping": "user mapping", "username": "user name",
    "vlantag": "VLAN tag", "vnc": "VNC", "webinterface": "web interface", "x11": "X11", "x509": "X.509 certificates",
}  # fmt: skip


def title_of(name: str) -> str:
    """Return the name of a member, or of an endpoint, as a title."""
    words = " ".join(_AS_SPOKEN.get(word, word) for word in name.strip("_@").split("_"))
    return words[:1].upper() + words[1:]
