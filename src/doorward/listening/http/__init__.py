"""HTTP/1.1 as this node speaks them, for the API and for the channel between nodes alike."""
