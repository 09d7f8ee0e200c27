"""From a suite to stored results: cells are planned, run, measured and kept in a run directory."""
