"""What is computed from stored values: a run as rows, intervals over repeats, reference lines, exports."""
