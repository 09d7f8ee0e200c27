"""What a cell does between the split and the values."""
