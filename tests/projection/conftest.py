"""Let these tests import their helpers: they are imported by path, which leaves their folder out."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
