"""A report for fairbench."""
