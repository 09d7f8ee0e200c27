"""A fairness method for fairbench."""
