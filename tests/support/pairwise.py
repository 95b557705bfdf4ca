"""A sample of a product in which every pair of values of any two axes occurs."""

import itertools
import random
from collections.abc import Callable, Hashable, Mapping, Sequence

Case = tuple[Hashable, ...]


def product(axes: Mapping[str, Sequence[Hashable]], valid: Callable[..., bool]) -> list[Case]:
    """Every case that makes sense."""
    return [case for case in itertools.product(*axes.values()) if valid(*case)]


def pairs(case: Case) -> set[tuple[int, Hashable, int, Hashable]]:
    """The pairs of values that a case covers."""
    return {(i, case[i], j, case[j]) for i, j in itertools.combinations(range(len(case)), 2)}


def sample(axes: Mapping[str, Sequence[Hashable]], valid: Callable[..., bool], dice: random.Random) -> list[Case]:
    """Cases that together cover every pair that any valid case covers; the dice decide which ones."""
    cases = product(axes, valid)
    dice.shuffle(cases)
    missing: set[tuple[int, Hashable, int, Hashable]] = set()
    with_pair: dict[tuple[int, Hashable, int, Hashable], list[Case]] = {}
    for case in cases:
        for pair in pairs(case):
            missing.add(pair)
            bucket = with_pair.setdefault(pair, [])
            if len(bucket) < 24:  # enough to choose from; more only costs time
                bucket.append(case)
    chosen = []
    for pair in sorted(missing, key=repr):
        if pair in missing:
            best = max(with_pair[pair], key=lambda case: len(pairs(case) & missing))
            missing -= pairs(best)
            chosen.append(best)
    return chosen
