"""Doorward: a self-hosted privileged-session appliance, managed through a transactional REST API."""

__version__ = "0.1.0"

SPS_LEVEL = "8.0.0"
"""The level of the SPS REST API that is served; clients compare the first two numbers."""

BUILD_DATE = "2026-11-21T20:00:00+00:00"
"""When this release was made."""
