"""SSH in a worker: the packet layer, both legs of a session, the relay between them and what listens in."""
