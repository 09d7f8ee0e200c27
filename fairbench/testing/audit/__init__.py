"""Finds out whether a method uses what it has not been given: it is run on data made for the audit, and watched.

Two processes each run a method for two repeats, with the ordinary ``fairbench run``. All labels are coin tosses, and
the processes differ only in the labels of the rows that the last repeat tests (most of them train the method in the
first). So either a method's last predictions are the same bytes, or the method knows those labels: from the harness's
memory, from a file, from a store, or from an earlier repeat.

- ``made``: the data, and a folder for each process; ``worker``: the process; ``watch``: what a method's code does there
- ``verdict``: what is found, from outside of these processes
"""
