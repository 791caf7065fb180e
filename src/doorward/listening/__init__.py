"""Where connections come in: sockets, rules of admission, TLS, HTTP with its limits. Who serves them stands behind a name.

Below the API, the cluster and the proxy: it knows the host's ``Listener`` and nothing of what is served.
"""
