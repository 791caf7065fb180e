"""A module for each form that the tables had."""
