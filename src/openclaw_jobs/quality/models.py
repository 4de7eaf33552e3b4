"""What a comparison is asked and what it says."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

VERSION: Final = "1"
"""Raised whenever the same two texts may be judged otherwise than before; kept with a verdict."""

Embed: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Turns texts into vectors of one length, one a text; `semantic.load_embedder` makes one."""

Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]


class Kind(StrEnum):
    """What two texts are, which decides how they are compared."""

    EMPTY = "empty"
    REFUSAL = "refusal"
    JSON = "json"
    CODE = "code"
    LIST = "list"
    NUMBER = "number"
    SHORT = "short"
    PROSE = "prose"


class Method(StrEnum):
    """How far an operator lets likeness count, for one category."""

    EXACT = "exact"  # the same characters and nothing else
    NORMALISED = "normalised"  # every deterministic part, and no likeness
    JACCARD = "jaccard"  # shared words among all words
    TOKEN_SORT = "token_sort"  # noqa: S105 - no password; rapidfuzz over the sorted words  # nosec B105
    SEMANTIC = "semantic"  # cosine of embeddings, with the extra `semantic`


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to compare the results of one category.

    Attributes:
        method: What measures likeness where no deterministic part decides.
        threshold: The least likeness that agrees; None takes the calibrated one of `thresholds.py`
            for the texts' kind and the method.
        kind: What the texts are; None looks at them.
        number_tolerance: How far two numbers may lie apart, as a share of the larger; 0 is not at
            all.
    """

    method: Method = Method.TOKEN_SORT
    threshold: Share | None = None
    kind: Kind | None = None
    number_tolerance: Share = 0.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was found before any threshold.

    Attributes:
        verdict: True or False where a deterministic part decided, None where likeness has to.
        similarity: 0 to 1. Under a veto still the likeness that was measured, as evidence.
        method: The part that decided, or that measured the likeness.
        kind: What the texts were taken for.
        why: One sentence for an operator. It may quote a few words of the texts.
    """

    verdict: bool | None
    similarity: float
    method: str
    kind: Kind
    why: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Whether two results agree, and on what grounds.

    Attributes:
        agree: Whether they say the same. Two refusals agree, and so do two empty results: that
            is no word on their worth, for which the caller looks at `kind`.
        similarity: 0 to 1, as in `Measured`.
        method: The part that decided, such as `exact`, `json`, `numbers_guard` or `token_sort`.
        kind: What the texts were taken for.
        threshold: The least likeness that would have agreed; None where likeness didn't decide.
        version: `VERSION` of the engine.
        why: One sentence for an operator.
    """

    agree: bool
    similarity: float
    method: str
    kind: Kind
    threshold: float | None
    version: str
    why: str
