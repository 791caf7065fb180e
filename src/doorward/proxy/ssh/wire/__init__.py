"""One packet layer for both legs: it alone owns keys, counters and sequence numbers of each direction."""
