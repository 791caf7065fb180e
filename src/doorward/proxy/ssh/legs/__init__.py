"""Both legs of a session: identification, key exchange, authentication (RFC 4252, 4253). `exchange` alone knows asyncssh's inside."""
