"""Recordings of sessions: the format of a trail, writing it so that nothing is lost, reading it without a server."""
