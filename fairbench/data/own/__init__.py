"""Data of one's own: a table and a declaration of its columns become a ``Dataset``, without code."""
