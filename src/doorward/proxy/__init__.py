"""Session traffic: the worker processes that relay and record, and the narrow pipe between them and control."""
