"""Sphinx's settings for the site; ``tox -e docs`` builds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from fairbench.version import __version__  # as installed

project = "fairbench"
author = project_copyright = "The fairbench developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "pages"]
smartquotes = False  # -- begins an option
exclude_patterns = ["_build", "_ext"]
myst_heading_anchors = 3  # links to headings are as GitHub makes them

autodoc_typehints = "none"  # the docstrings say what arguments are
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = f"fairbench {release}"
