"""Search over the nodes of a cluster: what Central Management asks a node about its sessions, and what comes of the answers."""
