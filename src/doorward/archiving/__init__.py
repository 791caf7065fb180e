"""Recordings in an archive: sent when their sessions have ended, proven there, deleted here in time, fetched when asked for."""
