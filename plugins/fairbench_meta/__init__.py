"""Methods with an inner and an outer loop, through ``higher``."""
