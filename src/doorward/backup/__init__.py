"""Backups: archives, targets, runs, drills, restore (backup contract)."""
