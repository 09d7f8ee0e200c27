"""Papers run again: what they report is data in a directory, and is set beside what is measured here.

- ``checked``: TOML tables with errors that say file, place, value seen and what to do
- ``columns``: what its numbers measure
- ``published``: ``published.toml``, the numbers and claims of a paper
- ``rerun``: ``rerun.toml`` and the suites: protocols, repeats, figures, and the cells of it all
- ``measured``: stored values by row and repeat; published and measured compared; points above the coin
- ``claims``: whether what the paper says holds in the paired differences
- ``document``, ``words``: everything as Markdown and CSV, sentences included
- ``figures``, ``explain``: trade-off plots and explanations (they need the extras ``plots`` and ``explain``)
"""
