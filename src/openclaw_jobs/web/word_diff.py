"""How two texts differ, word by word."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final, Literal

import msgspec

__all__ = ["Piece", "word_diff"]

MAX_WORDS: Final = 1500
"""So many words of each are compared; the time that takes grows with their product."""

_WORD: Final = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


class Piece(msgspec.Struct, frozen=True):
    """A part of one text: the same in the other, its own alone, or not compared."""

    kind: Literal["same", "own", "rest"]
    text: str


def word_diff(first: str, second: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces; what is put together again is the text itself."""
    (a, a_rest), (b, b_rest) = _words(first), _words(second)
    left: list[Piece] = []
    right: list[Piece] = []
    for kind, a0, a1, b0, b1 in SequenceMatcher(None, a, b, autojunk=len(a) > 200).get_opcodes():  # noqa: PLR2004 - as difflib's own
        same: Literal["same", "own"] = "same" if kind == "equal" else "own"
        left += _piece(same, a[a0:a1])
        right += _piece(same, b[b0:b1])
    return [*left, *_rest(a_rest)], [*right, *_rest(b_rest)]


def _words(text: str) -> tuple[list[str], str]:
    words: list[str] = []
    end = 0
    for match in _WORD.finditer(text):
        if len(words) == MAX_WORDS:
            break
        words.append(match[0])
        end = match.end()
    return words, text[end:]


def _piece(kind: Literal["same", "own"], words: list[str]) -> Iterator[Piece]:
    if words:
        yield Piece(kind, "".join(words))


def _rest(text: str) -> Iterator[Piece]:
    if text:
        yield Piece("rest", text)
