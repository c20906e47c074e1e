"""Measures the toolkit on this machine, beside what the machine could do and beside a textbook version of the same."""
