"""What fairbench needs from the machine it runs on: process settings, output, files, the cache folder."""
