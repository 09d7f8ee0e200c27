"""Fitted models written to files without pickle, and read again."""
