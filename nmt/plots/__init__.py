"""Attention as heat maps and training as learning curves. Nothing in this package runs a model."""
