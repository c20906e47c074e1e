"""One-change variants of a recipe, each over several seeds, in one table: scripts/ablate."""
