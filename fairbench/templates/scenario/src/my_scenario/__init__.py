"""A scenario for fairbench."""
