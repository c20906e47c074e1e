"""What decoding can do, measured: scripts/decoding_table, scripts/invariance."""
