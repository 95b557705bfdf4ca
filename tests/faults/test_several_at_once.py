"""Random scripts of several rules: a second thing goes wrong while the first is being handled."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from fastcopy import _core
from support.faults import ERRNOS, Rule, fails, needs_faults, short, slow
from support.matrix import MODES, PROOFS, SETTINGS, Bench
from support.mounts import FILESYSTEMS, Mounts
from support.settings import FULL, dice

pytestmark = needs_faults

ROUNDS = 500 if FULL else 40


def some_rule(chance: random.Random, operations: list[str]) -> Rule:
    operation = chance.choice(operations)
    nth = chance.choice((1, 1, 2, 3, 5, 9, 17))
    match chance.randrange(6):
        case 0:
            return slow(operation, chance.uniform(0, 0.002), nth, for_ever=False)
        case 1:
            return short(operation, chance.choice((0, 1, 100, 4096, 10_000)), nth)
        case _:
            return fails(operation, chance.choice(ERRNOS), nth, for_ever=chance.random() < 0.3)


@pytest.mark.parametrize("filesystem", ("xfs", "ext4", "btrfs", "tmpfs", "overlay"))
@pytest.mark.parametrize("engine", ("auto", *fastcopy.engines()))
def test_right_copy_or_clear_error_whatever_calls_fail(
    engine: str, filesystem: str, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    directory = empty_directory(mounts.use(filesystem))
    chance = dice(f"several {engine} {filesystem}")
    if engine in FILESYSTEMS[filesystem].refuses:
        outcome = Bench(directory, engine, "atomic").copy()
        assert isinstance(outcome.error, fastcopy.CopyError)
        assert outcome.error.code == "COPY_E_UNSUPPORTED"
        return
    struck = 0
    settings = [*SETTINGS, *(name for name in PROOFS if filesystem != "tmpfs" or name != "media")]
    for _ in range(ROUNDS):
        setup = Bench(directory, engine, chance.choice(MODES), chance.choice(settings))
        called = [name for name, count in setup.usual_calls().items() if count]
        operations = chance.choice((called, called, list(_core.OPERATIONS)))
        rules = [some_rule(chance, operations) for _ in range(chance.randint(2, 4))]
        struck += sum(setup.copy(*rules).struck)
    assert struck > ROUNDS / 2  # the scripts do reach the copies
