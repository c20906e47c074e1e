"""Variants of an experiment, each trained with several seeds, in one table: `nmt sweep FILE.yaml`."""
