"""Both legs of a session: identification, key exchange, authentication (RFC 4252, 4253).

`exchange` and `host_keys` alone use names that asyncssh does not publish.
"""
