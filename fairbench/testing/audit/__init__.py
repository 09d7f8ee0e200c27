"""What a method knows that it has not been told: it is run on data made for it, and watched.

Two processes each run a method for two repeats, by ``fairbench run`` as it is. All labels are coin tosses, and nothing
differs between the processes but the labels of the rows that the last repeat tests (of which most train the method in
the first). So a method's last predictions are the same bytes, or the method knows those labels: from the harness's
memory, from a file, from a store, from an earlier repeat.

- ``made``: the data, and a folder for each process; ``worker``: the process; ``watch``: what a method's code does there
- ``verdict``: what is found, from outside of these processes
"""
