"""The tables as they were at first."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0001_sessions"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.execute(files("doorward.sessions.catalogue.postgresql").joinpath("migrations", "0001_sessions.sql").read_text())
