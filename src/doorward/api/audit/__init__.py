"""``/api/audit``: recorded sessions, found, shown, replayed, downloaded."""
