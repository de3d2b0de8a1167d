"""How sure a measured share or mean is."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

Z = 1.959964  # 95 %


def share(hits: float, number: int) -> tuple[float, float, float]:
    """Return hits/number and Wilson's 95 % interval; no number gives 0, 0 and 1."""
    if not number:
        return 0.0, 0.0, 1.0
    rate = hits / number
    spread = 1 + Z**2 / number
    middle = (rate + Z**2 / (2 * number)) / spread
    half = Z / spread * math.sqrt(rate * (1 - rate) / number + Z**2 / (4 * number**2))
    return rate, max(0.0, middle - half), min(1.0, middle + half)


def mean(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean and its 95 % bootstrap interval, the same for the same values.

    One value, or none, tells nothing of the spread: the interval is not a number.
    """
    if not values:
        return math.nan, math.nan, math.nan
    found = sum(values) / len(values)
    if len(values) == 1:
        return found, math.nan, math.nan
    draw = random.Random(0)
    means = sorted(
        sum(draw.choices(values, k=len(values))) / len(values) for _ in range(2000)
    )
    return found, means[50], means[1949]
