"""``/api/sessions``: what goes on right now, for those who watch over it."""
