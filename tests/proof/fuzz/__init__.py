"""What may come from anywhere, made up by chance: HTTP, JSON, uploads, the channel between nodes, trails, SSH before a login.

``python -m tests.proof.fuzz COUNT DIRECTORY SEED [PART…]`` sends so many. Only HTTP (``web``) goes through sockets; the rest
goes straight to its reader. What comes of each part is a line of JSON on standard output. How far it is stands on standard
error, and so does what the threads of the server do where no answer comes for a minute.
"""
