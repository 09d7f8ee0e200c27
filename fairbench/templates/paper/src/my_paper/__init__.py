"""A paper that fairbench can rerun."""
