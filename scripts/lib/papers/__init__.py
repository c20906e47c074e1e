"""Trains the models of configs/papers on one corpus and puts them into one table."""
