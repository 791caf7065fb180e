"""What is particular to one daemon each."""
