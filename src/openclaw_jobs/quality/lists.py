"""Comparing lists item by item.

Bullets and table rows are a set: their order is free. Where both lists are numbered, the numbers
are taken at their word: steps and rankings in another order are another answer.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from openclaw_jobs.quality.guards import veto
from openclaw_jobs.quality.normalise import canonical, plain

_ITEM: Final = re.compile(r"[ \t]{0,12}(?:([-*+\u2022])|(\d{1,3})[.)])[ \t]+(\S.*)")
_ROW: Final = re.compile(r"[ \t]{0,9}\|(.*)\|[ \t]*")
_CHECKED: Final = re.compile(r"\A\[[xX]\]\s")
_UNCHECKED: Final = re.compile(r"\A\[ ?\]\s")
_RULE: Final = re.compile(r"[\s|:-]+")
_LIST_SHARE: Final = 0.6
_MAX_LOOSE: Final = 24
_MAX_LOOSE_CHARS: Final = 400
_CONTRADICTS: Final = 0.5


class Items(msgspec.Struct, frozen=True):
    """A list: its items without marks, and in their form for equality; the text around it."""

    texts: tuple[str, ...]
    items: tuple[str, ...]
    ordered: bool
    around: str


class Matched(msgspec.Struct, frozen=True):
    """How two lists fit.

    Attributes:
        similarity: The likeness of the least alike items that were fitted, 0 to 1; where an item
            has no counterpart, the share of items that have one.
        objection: What decides against them: a part of the engine, and why.
        why: In words, where nothing objects.
    """

    similarity: float
    objection: tuple[str, str] | None
    why: str


def parse(text: str) -> Items | None:
    """The list that makes up most of an answer's lines; None where there is none of two items."""
    items: list[str] = []
    around: list[str] = []
    numbered = rows = lines = 0
    for line in text.splitlines():
        if not line.strip():
            continue
        lines += 1
        if (match := _ITEM.match(line)) is not None:
            items.append(match[3])
            numbered += match[2] is not None
        elif (row := _ROW.fullmatch(line)) is not None:
            rows += 1
            if not _RULE.fullmatch(line):
                items.append(" | ".join(cell.strip() for cell in row[1].split("|")))
        elif line[0] in " \t" and items and not rows:
            items[-1] = f"{items[-1]} {line.strip()}"  # an item's second line
            lines -= 1
        else:
            around.append(line.strip())
    if len(items) < 2 or len(items) + rows < _LIST_SHARE * lines:  # noqa: PLR2004 - a list has two
        return None
    texts = tuple(plain(_CHECKED.sub("checked: ", _UNCHECKED.sub("unchecked: ", i))) for i in items)
    return Items(
        texts, tuple(map(canonical, texts)), numbered == len(items), plain(" ".join(around))
    )


Pair: TypeAlias = tuple[str, str]


def match(
    one: Items, other: Items, likeness: Callable[[str, str], float], tolerance: float = 0.0
) -> Matched:
    """Fit two lists together.

    Equal items fit as they are; up to 24 others a side are fitted by `likeness`, the best pair
    first. A guard that objects to a pair objects to the whole list, however long it is.
    """
    left, right = Counter(one.items), Counter(other.items)
    alike = sum((left & right).values())
    sizes = len(one.items), len(other.items)
    share = 2 * alike / sum(sizes)
    if sizes[0] != sizes[1]:
        few, many = sorted(sizes)
        return Matched(share, ("list", f"{few} items in one, {many} in the other"), "")
    if one.around and other.around:
        # A list with another number or the opposite in the sentence below it says another thing.
        objection = veto(one.around, other.around, tolerance)
        if objection is not None:
            return Matched(share, objection, "")
    if one.ordered and other.ordered:
        if left == right and one.items != other.items:
            return Matched(share, ("list_order", "the same steps in another order"), "")
        rows = zip(one.items, other.items, one.texts, other.texts, strict=True)
        pairs = [(a, b) for same_a, same_b, a, b in rows if same_a != same_b]
        loose = len(pairs)
        scored = [(_score(a, b, likeness), (a, b)) for a, b in pairs[:_MAX_LOOSE]]
    else:
        rest = _texts(one, left - right), _texts(other, right - left)
        loose = len(rest[0])
        scored = _best(rest[0][:_MAX_LOOSE], rest[1][:_MAX_LOOSE], likeness)
    if loose > _MAX_LOOSE:
        return Matched(share, ("list", f"{loose} of {sizes[0]} items differ"), "")
    for likely, (a, b) in scored:
        objection = veto(a, b, tolerance)
        if objection is not None and likely >= _CONTRADICTS:
            return Matched(share, objection, "")
    least = min((likely for likely, _ in scored), default=1.0)
    return Matched(least, None, f"{alike} of {sizes[0]} items alike, the others fitted")


def _texts(found: Items, wanted: Counter[str]) -> list[str]:
    """The texts of the items that are wanted, in an order that doesn't depend on the list's."""
    by_item = dict(zip(found.items, found.texts, strict=True))
    return [by_item[item] for item in sorted(wanted.elements())]


def _score(one: str, other: str, likeness: Callable[[str, str], float]) -> float:
    return likeness(one[:_MAX_LOOSE_CHARS], other[:_MAX_LOOSE_CHARS])


def _best(
    left: list[str], right: list[str], likeness: Callable[[str, str], float]
) -> list[tuple[float, Pair]]:
    """Pairs of the most alike items, each used once; ties by the texts, whichever list is first."""
    scored = sorted(
        (-_score(a, b, likeness), min(a, b), max(a, b), i, j)
        for i, a in enumerate(left)
        for j, b in enumerate(right)
    )
    used: tuple[set[int], set[int]] = (set(), set())
    found = []
    for negative, _, _, i, j in scored:
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            found.append((-negative, (left[i], right[j])))
    return found
