"""The catalogue of all sessions of this node: rows, channels, events, text, search. A database of its own."""
