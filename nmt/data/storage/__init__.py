"""What preparation leaves on disk: arrays, lines, the store of ids, in folders that appear whole."""
