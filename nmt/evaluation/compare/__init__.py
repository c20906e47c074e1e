"""Several translations of one test set side by side: scores, whether they differ by more than chance, and where."""
