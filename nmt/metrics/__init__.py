"""Metrics: BLEU, chrF and TER of a test set, and of single sentences. Every room above may use them."""
