"""Taking from a text what says nothing: form, markup, whitespace, lead-ins.

Every pattern here takes time linear in the text, whatever the text is.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

_INVISIBLE: Final = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe0e\ufe0f\ufeff\x00-\x08\x0b\x0c\x0e-\x1f]"
)
_SUPERSCRIPT: Final = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207b]{1,9}")
_FRACTION: Final = re.compile("(?=[\u00bc-\u00be\u2150-\u215e])")
_TYPOGRAPHY: Final = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201b": "'", "\u02bc": "'", "\u00b4": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"',
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2212": "-",
        "\u2014": " - ", "\u2015": " - ", "\u2044": "/", "\u00d7": "x", "\r": "\n",
    }
)  # fmt: skip

_FENCE_LINE: Final = re.compile(r"^[ \t]{0,9}(?:```|~~~)[^\n`]{0,80}$", re.MULTILINE)
_HEADING: Final = re.compile(r"^[ \t]{0,9}(?:#{1,6}|>)[ \t]", re.MULTILINE)
_STAR: Final = re.compile(r"(?<![\w*])\*(?=\w)|(?<=[\w.,!?])\*(?![\w*])")
_SPACE: Final = re.compile(r"\s+")
_LEAD_IN: Final = re.compile(
    r"""\A(?:(?:sure|certainly|of[ ]course|okay|ok)[,!.][ ])?
    (?:
        (?:the[ ])?(?:final[ ])?
        (?:answer|result|output|solution|total|translation|category|label|sentiment|summary)
        (?:[ ]is)?[ ]?[:=][ ]?
      | (?:the[ ])?(?:final[ ])?(?:answer|result|output|solution|total)[ ]is[ ]
      | here[ ](?:is|are)[ ][a-z ]{1,40}:[ ]
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_IDENTIFIER: Final = re.compile(r"[a-z][A-Z]|\d[^\W\d]|[^\W\d]\d|[_\\/=+@#]")
_CJK: Final = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD: Final = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+(?:'[^\W_{_CJK}]+)?")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?;])\s+|\n+|(?<=\u3002)")
_NOT: Final = re.compile(r"\b(?:ca(?=n't)|wo(?=n't)|cannot\b)|n't\b", re.IGNORECASE)
_NOT_FORMS: Final = {"ca": "can", "wo": "will", "cannot": "can not", "n't": " not"}

_SMALL: Final = (
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
# "one" is as often a pronoun as a number.
_DIGITS: Final = {word: str(value) for value, word in enumerate(_SMALL, start=2)}

_EDGES: Final = " \t\n.,;:!?\u3002\"'`"


def _superscript(match: re.Match[str]) -> str:
    return "^" + unicodedata.normalize("NFKC", match[0])


def clean(text: str) -> str:
    """The text in one Unicode form, with plain quotes and dashes and nothing invisible in it."""
    # Before NFKC, which would make 10 to the 6th a hundred and six and three and a half 31/2.
    text = _FRACTION.sub(" ", _SUPERSCRIPT.sub(_superscript, text))
    text = unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY)
    return _INVISIBLE.sub("", text).strip()


def plain(text: str) -> str:
    """A cleaned text without Markdown's marks; its words and lines stay."""
    text = _HEADING.sub("", _FENCE_LINE.sub("", text))
    return _STAR.sub("", text.replace("**", "").replace("__", "").replace("`", "")).strip()


def _fold(word: str) -> str:
    # The case of a key, a path or a mixed-case name may be the answer itself.
    return word if _IDENTIFIER.search(word) else word.casefold()


def canonical(text: str) -> str:
    """A plain text as it is compared for equality: harmless case, spaces and edges taken off."""
    text = _LEAD_IN.sub("", _SPACE.sub(" ", text).strip(_EDGES))
    folded = " ".join(_fold(word) for word in text.split(" "))
    return folded.strip(_EDGES)


def without_lead_in(text: str) -> str:
    """A plain text without "The answer is" and its like at the front."""
    return _LEAD_IN.sub("", _SPACE.sub(" ", text).strip())


# One comparison asks for the same few texts many times; no more than those are kept.
@lru_cache(maxsize=8)
def _words(text: str) -> tuple[str, ...]:
    text = _NOT.sub(lambda match: _NOT_FORMS[match[0].lower()], text)
    found = (word.removesuffix("'s") for word in _WORD.findall(text.casefold()))
    return tuple(_DIGITS.get(word, word) for word in found)


def words(text: str) -> list[str]:
    """The words of a plain text, folded; negations written out, small number words as digits."""
    return list(_words(text))


def sentences(text: str) -> list[str]:
    """The sentences and lines of a plain text, none empty."""
    return [part for part in _SENTENCE_END.split(text) if part and not part.isspace()]
