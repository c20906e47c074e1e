"""Losses fused with the output layer, and log-probabilities of known pieces."""
