"""A metric for fairbench."""
