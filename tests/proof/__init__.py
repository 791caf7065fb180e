"""Proofs that nothing is lost and nothing is open: a short form among the tests, a long one by ``make soak``."""
