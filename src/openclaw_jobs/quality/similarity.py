"""How alike two texts are, 0 to 1. No measure here decides alone; see `compare`."""

import math
from collections import Counter
from collections.abc import Sequence

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

from openclaw_jobs.quality.figures import rewritten
from openclaw_jobs.quality.models import Embed, Method
from openclaw_jobs.quality.normalise import words

MAX_FINE_CHARS = 16_384
"""Longer texts are compared by whole words: by characters the time grows with the square."""

MAX_TOKENS = 8_192
_CHUNK_WORDS = 160
_MAX_CHUNKS = 32


def jaccard(one: str, other: str) -> float:
    """The share of words that both texts have among all their words."""
    left, right = set(words(one)), set(words(other))
    return len(left & right) / len(left | right) if left | right else 1.0


def _shared(left: Counter[str], right: Counter[str]) -> float:
    """The share of characters that stand in words of both."""
    total = sum(len(word) * count for bag in (left, right) for word, count in bag.items())
    common = sum(len(word) * count for word, count in (left & right).items())
    return 2 * common / total if total else 1.0


def token_sort(one: str, other: str) -> float:
    """Rapidfuzz's ratio over the sorted words, whatever their order.

    Over 16,384 characters the words count whole: sorted, that is the same measure with a word for
    a letter, in linear time.
    """
    left, right = words(one), words(other)
    if max(len(one), len(other)) > MAX_FINE_CHARS:
        return _shared(Counter(left), Counter(right))
    return fuzz.ratio(" ".join(sorted(left)), " ".join(sorted(right))) / 100


def sequence(one: Sequence[str], other: Sequence[str]) -> float:
    """The share of tokens in the longest common subsequence, for programs, where order counts.

    Over 8,192 tokens the order is not looked at.
    """
    if max(len(one), len(other)) > MAX_TOKENS:
        return _shared(Counter(one), Counter(other))
    return Indel.normalized_similarity(one, other)


def _chunks(text: str) -> list[str]:
    """A text in pieces that a sentence model reads whole; of a long one, pieces evenly apart."""
    parts = text.split()
    pieces = [
        " ".join(parts[at : at + _CHUNK_WORDS])[: _CHUNK_WORDS * 12]
        for at in range(0, len(parts), _CHUNK_WORDS)
    ]
    step = max(1, math.ceil(len(pieces) / _MAX_CHUNKS))
    return pieces[::step] or [""]


def _mean(vectors: Sequence[Sequence[float]]) -> list[float]:
    return [math.fsum(column) / len(vectors) for column in zip(*vectors, strict=True)]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors, no less than 0; 0 where one of them is zero."""
    dot = math.fsum(x * y for x, y in zip(one, other, strict=True))
    norms = math.hypot(*one) * math.hypot(*other)
    return min(1.0, max(0.0, dot / norms)) if norms else 0.0


def semantic(one: str, other: str, embed: Embed) -> float:
    """The cosine of two texts' embeddings, each the mean of its pieces."""
    left, right = _chunks(one), _chunks(other)
    vectors = embed([*left, *right])
    if len(vectors) != len(left) + len(right):
        raise ValueError(f"{len(vectors)} vectors for {len(left) + len(right)} texts")
    return cosine(_mean(vectors[: len(left)]), _mean(vectors[len(left) :]))


def likeness(one: str, other: str, method: Method, embed: Embed | None) -> float:
    """What `method` measures between two plain texts.

    Raises:
        ValueError: `semantic` without embeddings.
    """
    if method is Method.JACCARD:
        return jaccard(rewritten(one), rewritten(other))
    if method is Method.SEMANTIC:
        if embed is None:
            raise ValueError("the method `semantic` needs `embed`; see semantic.load_embedder")
        return semantic(one, other, embed)
    return token_sort(rewritten(one), rewritten(other))
