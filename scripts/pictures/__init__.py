"""The pictures of the documentation, drawn by `make pictures`."""
