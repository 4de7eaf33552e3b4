"""What makes two texts disagree however alike they look: numbers, polarity, names, their order.

Each guard takes two plain texts and says what it found, or None. They err towards a veto: a
wrong one costs a third opinion, a missing one lets a bad result pass.
"""

import re
from collections import Counter
from typing import Final

from openclaw_jobs.quality.figures import Figure, figures, same_order, unmatched
from openclaw_jobs.quality.lexicon import ANTONYMS, NEGATIVE_FORMS, NEGATORS, OPENERS
from openclaw_jobs.quality.normalise import sentences, words

SHORT_WORDS: Final = 30
"""Up to this many words a text is one statement: all of it must have the same polarity."""

_OMISSION_WORDS: Final = 20
_COMMON_POSTINGS: Final = 20
_ALIGNED: Final = 0.5
_MAX_NAME_SHARE: Final = 0.3
_EXCHANGED: Final = 0.34
_SHOWN: Final = 3
_NAME: Final = re.compile(r"[^\W\d_]{2,}")
_YES_NO: Final = re.compile(r"\A\s*(yes|no)\s*(?:[,.!:;]\s*|\Z)", re.IGNORECASE)
_PREFIXES: Final = ("un", "in", "im", "ir", "il", "dis", "non")
_MIN_STEM: Final = 4
_JA_NOT: Final = re.compile("ない|ません|なかった")


def _shown(found: list[Figure]) -> str:
    return ", ".join(str(figure) for figure in found[:_SHOWN]) or "nothing"


def numbers(one: str, other: str, tolerance: float = 0.0) -> str | None:
    """A number that differs.

    In a longer text a number may be said twice, and one that the other text leaves out is an
    omission and no contradiction: likeness judges it. Under 20 words it is a difference.
    """
    left, right = figures(one), figures(other)
    short = min(len(one), len(other)) < _OMISSION_WORDS * 20 and (
        min(len(words(one)), len(words(other))) < _OMISSION_WORDS
    )
    only_left, only_right = unmatched(left, right, tolerance, repeats=short)
    if (only_left and only_right) or (short and (only_left or only_right)):
        return f"{_shown(only_left)} in one, {_shown(only_right)} in the other"
    return None


def _negations(found: list[str], text: str) -> int:
    count = sum(word in NEGATORS or word in NEGATIVE_FORMS for word in found)
    return count + len(_JA_NOT.findall(text))


def _flips(left: set[str], right: set[str]) -> list[tuple[str, str]]:
    """Pairs of opposites of which each text holds another one."""
    only_left, only_right = left - right, right - left
    flips = [
        (positive, negative)
        for positive, negative in ANTONYMS
        if (positive in only_left and negative in only_right)
        or (negative in only_left and positive in only_right)
    ]
    for negated, stems in ((only_left, only_right), (only_right, only_left)):
        for word in negated - NEGATIVE_FORMS:
            stem = next((word.removeprefix(p) for p in _PREFIXES if word.startswith(p)), "")
            if len(stem) >= _MIN_STEM and stem in stems:
                flips.append((stem, word))
    return sorted(flips)


def _opposite(one: str, other: str) -> str | None:
    """Whether two statements that are about the same contradict each other by their polarity."""
    opened = _YES_NO.match(one), _YES_NO.match(other)
    answers = [match[1].lower() if match else None for match in opened]
    if set(answers) == {"yes", "no"}:
        return "yes in one, no in the other"
    if None not in answers:
        one, other = _YES_NO.sub("", one), _YES_NO.sub("", other)
        if not one or not other:
            return None
    left, right = words(one), words(other)
    flips = _flips(set(left), set(right))
    negations = sorted((_negations(left, one), _negations(right, other)))
    apart = negations[1] - negations[0]
    # "not true" is "false": one negation makes up for one opposite that is none itself.
    made_up = len(flips) == apart == 1 and flips[0][1] not in NEGATORS
    if flips and not made_up:
        return f"'{flips[0][0]}' against '{flips[0][1]}'"
    if apart and not flips:
        return f"{negations[0]} negations in one, {negations[1]} in the other"
    return None


def _pairs(one: str, other: str) -> list[tuple[str, str]]:
    """The sentences of two texts that say much the same, found by the words they share.

    A word in more than 20 sentences points nowhere, which keeps this linear.
    """
    left, right = sentences(one), sentences(other)
    bags = [set(words(sentence)) for sentence in right]
    postings: dict[str, list[int]] = {}
    for index, bag in enumerate(bags):
        for word in bag:
            postings.setdefault(word, []).append(index)
    found = []
    for sentence in left:
        bag = set(words(sentence))
        shared: Counter[int] = Counter()
        for word in bag:
            at = postings.get(word, ())
            if len(at) <= _COMMON_POSTINGS:
                shared.update(at)
        if not shared:
            continue
        best = max(shared, key=lambda index: (shared[index], -index))
        if len(bag & bags[best]) >= _ALIGNED * max(len(bag), len(bags[best]), 1):
            found.append((sentence, right[best]))
    return found


def polarity(one: str, other: str) -> str | None:
    """A negation, an antonym, yes against no: in a whole short text, or sentence by sentence."""
    if len(one) + len(other) < SHORT_WORDS * 40 and (
        max(len(words(one)), len(words(other))) <= SHORT_WORDS
    ):
        return _opposite(one, other)
    # Both ways, so that the answer doesn't depend on which text came first.
    aligned = [*_pairs(one, other), *((a, b) for b, a in _pairs(other, one))]
    return next((why for a, b in aligned if (why := _opposite(a, b)) is not None), None)


def _capitals(text: str, lower: set[str]) -> list[tuple[str, bool]]:
    """Words that stand capitalised and never small, each with whether it opens a sentence."""
    found = []
    for sentence in sentences(text):
        for index, match in enumerate(_NAME.finditer(sentence)):
            folded = match[0].casefold()
            if match[0][0].isupper() and folded not in lower and folded not in OPENERS:
                found.append((folded, index == 0))
    return found


def _lower(text: str) -> set[str]:
    return {word.casefold() for word in _NAME.findall(text) if word[0].islower()}


def _name_lists(one: str, other: str) -> tuple[list[str], list[str]] | None:
    """The names of both texts, or None where capitals say nothing: titles, German, all caps.

    A sentence's first word is a name where it doesn't look like a participle or a plural, or is
    one elsewhere.
    """
    lower = _lower(one) | _lower(other)
    capitals = _capitals(one, lower), _capitals(other, lower)
    sure = {word for found in capitals for word, opens in found if not opens}
    lists = []
    for text, found in zip((one, other), capitals, strict=True):
        names = [
            word
            for word, opens in found
            if not opens or word in sure or not word.endswith(("ing", "ly", "ed", "s"))
        ]
        if len(names) > max(1, _MAX_NAME_SHARE * len(_NAME.findall(text))):
            return None
        lists.append(names)
    return lists[0], lists[1]


def names(one: str, other: str) -> str | None:
    """A name that only one text has, where the other has one of its own in its place."""
    lists = _name_lists(one, other)
    if lists is None:
        return None
    left, right = ({w.casefold() for w in _NAME.findall(text)} for text in (one, other))
    only_left = [name for name in lists[0] if name not in right]
    only_right = [name for name in lists[1] if name not in left]
    if only_left and only_right:
        return f"'{only_left[0]}' in one, '{only_right[0]}' in the other"
    return None


def order(one: str, other: str) -> str | None:
    """The same words with names or numbers in other places, as when two roles are swapped."""
    left, right = words(one), words(other)
    if left == right or Counter(left) != Counter(right):
        return None
    if not same_order(figures(one), figures(other)):
        return "the same words, with the numbers in another order"
    moved = [(a, b) for a, b in zip(left, right, strict=True) if a != b]
    if all(word.isalpha() for pair in moved for word in pair) and len(moved) <= max(
        2, _EXCHANGED * len(left)
    ):
        return f"the same words, with '{moved[0][0]}' and '{moved[0][1]}' in each other's place"
    lists = _name_lists(one, other)
    if lists is not None and sorted(lists[0]) == sorted(lists[1]) and lists[0] != lists[1]:
        return "the same words, with the names in another order"
    return None


def veto(one: str, other: str, tolerance: float = 0.0) -> tuple[str, str] | None:
    """The first guard that objects, and why."""
    checks = (
        ("numbers_guard", numbers(one, other, tolerance)),
        ("negation_guard", polarity(one, other)),
        ("names_guard", names(one, other)),
        ("order_guard", order(one, other)),
    )
    return next(((method, why) for method, why in checks if why is not None), None)
