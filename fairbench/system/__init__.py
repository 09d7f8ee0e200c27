"""What fairbench needs of the machine it runs on: the process's settings, its output, files, the cache folder."""
