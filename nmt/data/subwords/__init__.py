"""Subword pieces: the models, their training, and the segmentations that training sees."""
