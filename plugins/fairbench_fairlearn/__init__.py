"""The methods of fairlearn, by fairlearn itself: what is learned and predicted is what the library gives."""
