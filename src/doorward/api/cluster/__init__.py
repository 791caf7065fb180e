"""``/api/cluster``: one file for each resource (cluster contract, section 2)."""
