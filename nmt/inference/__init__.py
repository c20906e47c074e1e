"""Inference: from a model file and lines of text to lines of text."""
