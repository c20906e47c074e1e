"""Whole files: many processes, formats, flags, progress, and going on where an earlier run stopped."""
