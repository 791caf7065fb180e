"""The algorithms of SSH that settings policies name, as the engine has them. No endpoint.

The defaults are those of current OpenSSH, towards clients those of its server, towards servers those of its client. The last
ones of each list are weak: they are there for devices that know nothing better.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from doorward.tree.models import Body, Elements

Kex = Literal[
    "mlkem768x25519-sha256", "mlkem768nistp256-sha256", "mlkem1024nistp384-sha384", "curve25519-sha256",
    "curve25519-sha256@libssh.org", "curve448-sha512", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256", "diffie-hellman-group14-sha256", "diffie-hellman-group15-sha512",
    "diffie-hellman-group16-sha512", "diffie-hellman-group17-sha512", "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1",
]  # fmt: skip
HostKey = Literal[
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
    "ssh-rsa", "ssh-dss",
]  # fmt: skip
Cipher = Literal[
    "chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr",
    "aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc",
]  # fmt: skip
Mac = Literal[
    "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512",
    "hmac-sha1-etm@openssh.com", "hmac-sha1", "hmac-sha1-96", "hmac-md5",
]  # fmt: skip
Compression = Literal["none"]

WEAK = frozenset({
    "diffie-hellman-group-exchange-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1", "ssh-rsa", "ssh-dss",
    "aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc", "hmac-sha1-etm@openssh.com", "hmac-sha1", "hmac-sha1-96", "hmac-md5",
})  # fmt: skip
"""What is taken with ``allow_legacy`` only."""

KEY_OF = {
    "ssh-ed25519": "ed25519",
    "ecdsa-sha2-nistp256": "ecdsa-p256",
    "ecdsa-sha2-nistp384": "ecdsa-p384",
    "ecdsa-sha2-nistp521": "ecdsa-p521",
    "rsa-sha2-512": "rsa",
    "rsa-sha2-256": "rsa",
    "ssh-rsa": "rsa",
    "ssh-dss": "dss",
}
"""What type of host key each of the host key algorithms takes."""

_MODERN_KEX: list[Kex] = [
    "mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
]  # fmt: skip
_OLDER_KEX: list[Kex] = [
    "diffie-hellman-group-exchange-sha256", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
]  # fmt: skip
_HOST_KEYS: list[HostKey] = [
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
]  # fmt: skip
_CIPHERS: list[Cipher] = [
    "chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr",
]  # fmt: skip
_MACS: list[Mac] = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"]


class Algorithms(Body):
    """Algorithms of one side, each list in order of preference."""

    kex: Annotated[list[Kex], Elements(least=1, most=32, unique=str)] = Field(
        [*_MODERN_KEX, *_OLDER_KEX], description="How keys are exchanged."
    )
    host_key: Annotated[list[HostKey], Elements(least=1, most=32, unique=str)] = Field(
        _HOST_KEYS, description="How the server proves who it is. Certificates of servers go by the same names."
    )
    cipher: Annotated[list[Cipher], Elements(least=1, most=32, unique=str)] = Field(_CIPHERS, description="Encryption.")
    mac: Annotated[list[Mac], Elements(least=1, most=32, unique=str)] = Field(
        _MACS, description="Integrity, where the encryption does not bring its own."
    )
    compression: Annotated[list[Compression], Elements(least=1, most=8, unique=str)] = Field(
        ["none"], description="Compression: none; both sides have to go without."
    )


def _listed(kex: list[Kex]) -> dict[str, list[str]]:
    return {"cipher": [*_CIPHERS], "compression": ["none"], "host_key": [*_HOST_KEYS], "kex": [*kex], "mac": [*_MACS]}


TOWARDS_CLIENTS = _listed(_MODERN_KEX)
TOWARDS_SERVERS = _listed([*_MODERN_KEX, *_OLDER_KEX])
