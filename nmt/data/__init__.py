"""Text in, batches of ids out: reading, filtering, subword pieces, the store of ids, batching."""
