"""Where backups go: one module per kind of target, all behind the same port."""
