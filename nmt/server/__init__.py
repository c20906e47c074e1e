"""`nmt serve`: models behind HTTP interfaces that other programs already use."""
