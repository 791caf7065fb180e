"""HTTP: message format, errors, routes. Translates and does nothing else."""
