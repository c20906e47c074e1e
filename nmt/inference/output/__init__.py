"""Output files: formats, quality flags, writing and resuming, several processes."""
