"""A clock that jumps at every look, by up to a year; ``time.monotonic`` and ``perf_counter`` do not."""

import os
import random
import time

chance = random.Random(int(os.environ["CLOCK_SEED"]) + os.getpid())
YEAR = 365 * 24 * 3600
now, now_ns = time.time, time.time_ns


def jumped():
    return now() + chance.uniform(-YEAR, YEAR)


time.time, time.time_ns = jumped, lambda: int(jumped() * 1e9)
