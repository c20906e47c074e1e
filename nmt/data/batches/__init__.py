"""From the store to batches: the order of an epoch, rectangles of ids, concatenated pairs."""
