"""Whether two workers are wrong in the same way more often than strangers would be; pure.

Right answers coincide by themselves, so only wrong ones say something: two workers who are both
wrong about one text and give the same answer share a source, be it an owner, a program or a model.
How often strangers do that has to be measured, as it depends on the tasks and on what workers run:
language models that err together give the same answer far more often than chance would have it,
60% of the time in one data set (Kim, Garg, Peng, Garg: Correlated Errors in Large Language Models,
ICML 2025, https://proceedings.mlr.press/v267/kim25e.html).
"""

import math
from typing import Final

import msgspec

PAIR_LIMIT: Final = 0.001
"""What strangers come to less often than once in a thousand is told to an operator."""

PRIOR_SAME: Final = 1
PRIOR_DIFFERENT: Final = 2
PRIOR_WEIGHT: Final = 4
"""Before anything is measured, as with a question of four choices: its three wrong ones coincide
once in three times. It counts as much as twelve comparisons."""


class Counts(msgspec.Struct, frozen=True):
    """Texts that two workers were both wrong about, and how many of them with the same answer."""

    both: int
    same: int


def base_rate(others: Counts) -> float:
    """How often wrong answers of strangers coincide.

    Args:
        others: What was counted of all other pairs.
    """
    same = PRIOR_SAME * PRIOR_WEIGHT + others.same
    return same / ((PRIOR_SAME + PRIOR_DIFFERENT) * PRIOR_WEIGHT + others.both)


def chance_of(pair: Counts, base: float) -> float:
    """How likely strangers agree at least so often: the upper tail of Binomial(both, base)."""
    return sum(
        math.comb(pair.both, k) * base**k * (1 - base) ** (pair.both - k)
        for k in range(pair.same, pair.both + 1)
    )


def is_suspicious(pair: Counts, others: Counts) -> bool:
    """Whether the agreement of a pair is too much for strangers."""
    return pair.same > 0 and chance_of(pair, base_rate(others)) < PAIR_LIMIT
