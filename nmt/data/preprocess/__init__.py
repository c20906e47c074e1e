"""Preprocessing: filter the pairs, train the subword model, store the ids, report. Begin with `preprocess.py`."""
