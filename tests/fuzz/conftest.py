"""The fuzzer's own modules lie beside the tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # the tests are imported by path, which leaves their folder out
