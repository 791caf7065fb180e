"""The migrations of the tables in PostgreSQL, for Alembic."""
