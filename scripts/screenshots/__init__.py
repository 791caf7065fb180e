"""Pictures of the web console."""
