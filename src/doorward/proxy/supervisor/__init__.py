"""The supervisor of the session workers: a process of its own, ``python -m doorward.proxy.supervisor``."""
