"""What is asked for probabilities: packed networks, ensembles, shortlists, known translations."""
