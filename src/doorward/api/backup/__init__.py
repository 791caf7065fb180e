"""``/api/backup``: one file for each resource (backup contract, section 10)."""
