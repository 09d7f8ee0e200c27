"""Datasets: their tables and splits, their raw files, and where these come from."""
