"""The cluster: membership, the channel between nodes, synchronisation, status."""
