"""Which weights: what training starts from, what stays as it is, and averages."""
