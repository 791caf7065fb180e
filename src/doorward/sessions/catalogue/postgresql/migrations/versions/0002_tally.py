"""Room for the tally of each node, and who wrote what about whose session."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0002_tally"
down_revision = "0001_sessions"


def upgrade() -> None:
    """Add them."""
    op.execute(files("doorward.sessions.catalogue.postgresql").joinpath("migrations", "0002_tally.sql").read_text())
