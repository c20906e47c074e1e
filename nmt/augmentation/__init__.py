"""Synthetic training text: one side of each pair is the output of a model."""
