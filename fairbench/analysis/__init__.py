"""What stored values come to: a run as rows, intervals over repeats, reference lines, exports."""
