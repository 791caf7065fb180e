"""Draws how the packages of the server build on each other, from their imports."""
