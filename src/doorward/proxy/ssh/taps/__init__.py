"""What listens in on a session: the recorder, the terminals, the decoders of file transfers, the text for the index, viewers."""
