"""A table of invented applicants, for fairbench."""
