"""HTTP/1.1 as this node speaks it, for the API, the redirects and the channel between nodes alike."""
