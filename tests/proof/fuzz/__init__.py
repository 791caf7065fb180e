"""What may come from anywhere, made up by chance: HTTP, JSON, uploads, the channel between nodes, trails, SSH before a login.

``python -m tests.proof.fuzz COUNT DIRECTORY SEED`` sends so many. Only HTTP goes through sockets; the rest goes straight to its
reader.
"""
