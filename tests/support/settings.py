"""What the environment decides about a run of the tests."""

import os
import random
import zlib

import pytest

FULL = os.environ.get("FASTCOPY_FULL") == "1"  # walk whole products, not a sample of them
CI = os.environ.get("FASTCOPY_CI") == "1"  # what cannot be tested is a failure, not a skip

SEED = int(os.environ.get("FASTCOPY_SEED") or random.SystemRandom().randrange(2**32))


def dice(name: str) -> random.Random:
    """Chance that the seed alone decides, independent of which other tests run."""
    return random.Random(SEED ^ zlib.crc32(name.encode()))


def unavailable(reason: str) -> None:
    """This machine cannot run the test: skipped with the reason, and on CI a failure, for CI skips nothing."""
    if CI:
        pytest.fail(f"CI must be able to run this: {reason}")
    pytest.skip(reason)
