"""How often a race is run: seldom by default, in full with CARELANE_TEST_COUNTS=deep."""

import os


def count(usual: int, *, deep: int) -> int:
    """Answer the count for this run."""
    return deep if os.environ.get("CARELANE_TEST_COUNTS") == "deep" else usual
