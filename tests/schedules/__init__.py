"""Random schedules of what can happen to a cluster, and one checker of what must be true all the while."""
