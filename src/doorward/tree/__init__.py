"""The language of the configuration tree: nodes, field types, snapshots, changes, addressing. Pure; imports nothing of ours."""
