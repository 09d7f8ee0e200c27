"""How unequally benefits are spread: two metrics and a report for fairbench."""
