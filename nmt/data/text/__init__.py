"""Text files: lines, packed streams, pairs of lines, and what a text is like."""
