"""Servers that are killed, and machines that fail: what was acknowledged is never lost, and nothing is left half done."""
