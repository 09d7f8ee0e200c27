"""Methods in which one part of a network plays for accuracy and another for fairness, and their common baseline."""
