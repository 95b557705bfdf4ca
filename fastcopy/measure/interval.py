"""How much faster, and how sure that is: the ratio of two medians with its interval, by paired bootstrap.

A round times every way once, so the times of one round belong together: what slowed the machine down slowed them all.
Rounds are therefore drawn, not times, and both medians are taken over the same draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

try:
    import numpy as np
except ImportError as error:
    raise ImportError(f"measuring needs numpy: pip install 'fastcopy-io[bench]' ({error})", name=error.name) from error

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ratio", "ratio"]

LEVEL = 0.95
_DRAWS = 4000


class Ratio(NamedTuple):
    """How many times as fast; the interval holds the true value 19 times of 20."""

    value: float
    low: float
    high: float

    @property
    def faster(self) -> bool:
        """Beyond the noise of this run."""
        return self.low > 1

    @property
    def slower(self) -> bool:
        return self.high < 1


def ratio(baseline: Sequence[float], way: Sequence[float], seed: int = 0) -> Ratio:
    """Median of `baseline` over median of `way`, times of the same rounds; above 1: the way is faster.

    >>> ratio([2.0, 2.1, 1.9], [1.0, 1.0, 1.0]).value
    2.0
    """
    if len(baseline) != len(way) or not way:
        raise ValueError(f"{len(baseline)} and {len(way)} times: as many of each are needed, of the same rounds")
    pairs = np.array((baseline, way), dtype=float)
    drawn = np.random.default_rng(seed).integers(len(way), size=(_DRAWS, len(way)))
    ratios = _ratio(pairs[:, drawn])
    low, high = np.quantile(ratios, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Ratio(float(_ratio(pairs)), float(low), float(high))


def _ratio(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    medians = np.median(pairs, axis=-1)
    quotient: NDArray[np.float64] = medians[0] / medians[1]
    return quotient
