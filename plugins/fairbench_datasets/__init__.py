"""The datasets, each with a loader in its own module."""
