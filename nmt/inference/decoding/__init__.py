"""From source pieces to candidates: the search that the options ask for, in batches, on all cores."""
