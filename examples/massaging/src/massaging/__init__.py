"""Massaging: a fairness method for fairbench."""
