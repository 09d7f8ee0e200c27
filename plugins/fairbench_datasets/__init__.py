"""The datasets, each with a loader in a module of its own."""
