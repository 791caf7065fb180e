"""Durable state: revisions, the running documents, the journal, commit records and secrets. One port, one SQLite adapter."""
