"""A dataset for fairbench."""
