"""The numbers in a text, with their units, however they are written.

A figure is a value and a unit: `1,250 g`, `1.25 kg` and `1250 grams` are the same one. Dates,
times, versions and names with digits in them (`A4`) are figures of their own kind, so that a
change in one is seen too.
Every pattern takes time linear in the text; long digit strings stay text.
"""

import re
from collections import Counter
from decimal import Decimal
from functools import lru_cache
from typing import Final

import msgspec

from openclaw_jobs.quality.units import CURRENCIES, SCALES, UNITS

_MAX_DIGITS: Final = 40
_HOURS_HALF_DAY: Final = 12

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        start=1,
    )
}
_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_WORDS: Final = {
    "zero": 0, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14,
    "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
_WORD: Final = "|".join(sorted(_WORDS, key=len, reverse=True))

_BIG: Final = "(?:hundred|thousand|million|billion|trillion)"

_FIGURE: Final = re.compile(
    rf"""
      (?<!\d)(?P<iso>\d{{4}}-\d{{1,2}}-\d{{1,2}})(?!\d)
    | \b(?P<mdy>{_MONTH}\.?\ \d{{1,2}}(?:st|nd|rd|th)?,?\ \d{{4}})(?!\d)
    | (?<!\d)(?P<dmy>\d{{1,2}}(?:st|nd|rd|th|\.)?\ (?:of\ )?{_MONTH}\.?,?\ \d{{4}})(?!\d)
    | (?<![\d.])(?P<dots>\d{{1,2}}\.\d{{1,2}}\.\d{{4}})(?![\d.])
    | (?<![\d:])(?P<time>\d{{1,2}}:\d{{2}}(?::\d{{2}})?)(?![\d:])(?:\ ?(?P<half>[ap])\.?m\b\.?)?
    | (?<![\w.])(?P<hour>\d{{1,2}})\ ?(?P<hourhalf>[ap])\.?m\b
    | (?P<id>(?<![\w-])[a-z][a-z_-]{{0,40}}\d[\w-]{{0,80}})
    | (?P<sign>(?<![\w)\]])[-+])?(?P<currency>us\$|[$€£¥]|\b(?:usd|eur|gbp|chf)\ ?)?
      (?P<number>\d{{1,3}}(?:\ \d{{3}})+(?!\d)|\d+(?:[.,'_]\d+)*|(?<![\d.])\.\d+)
      (?:/(?P<over>\d{{1,9}})(?![\d/]))?
      (?:(?:e|\ ?x\ ?10\^)(?P<power>[+-]?\d{{1,3}})(?!\w))?
      (?:st|nd|rd|th)?
      (?P<after>\ ?[%°€$£¥]c?|\ ?[a-zµ]{{1,12}}(?:/[a-z]{{1,4}})?)?
    | \b(?P<word>(?:{_WORD}|one(?=[\ -]{_BIG})|an?(?=\ {_BIG}\b))
      (?:[\ -](?:and\ )?(?:{_WORD}|one|{_BIG}))*)\b
      (?P<wordafter>\ (?:percent|per\ cent|[a-z]{{1,12}}))?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MARKER: Final = re.compile(r"^[ \t]{0,9}\d{1,3}[.)][ \t]", re.MULTILINE)


class Figure(msgspec.Struct, frozen=True, order=True):
    """One number: its unit (`""` for none), its value, and as text what is no plain number."""

    unit: str
    value: Decimal
    text: str = ""

    def __str__(self) -> str:
        """As an operator reads it."""
        value = self.text or f"{self.value.normalize():f}"[:_MAX_DIGITS]
        return value if self.unit in {"", "id", "date", "text"} else f"{value} {self.unit}"


def _text(unit: str, text: str) -> Figure:
    return Figure(unit, Decimal(0), text.lower())


def _date(year: str, month: str | int, day: str) -> Figure:
    return _text("date", f"{int(year):04}-{int(month):02}-{int(day):02}")


def _day(match: re.Match[str]) -> Figure:
    if match["iso"] is not None:
        return _date(*match["iso"].split("-"))
    if match["dots"] is not None:
        day, month, year = match["dots"].split(".")
        return _date(year, month, day)
    text = match["mdy"] or match["dmy"]
    day, year = re.findall(r"\d+", text)
    name = next(m for m in re.findall(r"[a-z]{3}", text.lower()) if m in _MONTHS)
    return _date(year, _MONTHS[name], day)


def _time(text: str, half: str | None) -> Figure:
    parts = [int(part) for part in text.split(":")]
    hours, minutes, seconds = (*parts, 0, 0)[:3]
    if half is not None:
        hours = hours % _HOURS_HALF_DAY + (_HOURS_HALF_DAY if half.lower() == "p" else 0)
    return _text("time", f"{hours:02}:{minutes:02}:{seconds:02}")


def _values(raw: str) -> list[Decimal] | None:
    """What digits with separators mean; several values for `3,5,8`, None for what is no number."""
    digits = re.sub(r"[ '_]", "", raw)
    if len(digits) > _MAX_DIGITS:
        return None
    if "," in digits and "." in digits:
        decimal = max(",.", key=digits.rfind)
        grouped = digits.replace("," if decimal == "." else ".", "")
        return [Decimal(grouped.replace(",", "."))] if grouped.count(decimal) == 1 else None
    for separator in ",.":
        parts = digits.split(separator)
        if len(parts) == 1:
            continue
        groups = 0 < len(parts[0].lstrip("0")) <= 3 and all(len(p) == 3 for p in parts[1:])  # noqa: PLR2004 - thousands come in threes
        if groups and (separator == "," or len(parts) > 2):  # noqa: PLR2004 - 1.250.000, but 1.250
            return [Decimal("".join(parts))]
        if len(parts) > 2:  # noqa: PLR2004 - more than one separator
            return [Decimal(part) for part in parts] if separator == "," else None
        return [Decimal(".".join(parts))]
    return [Decimal(digits)]


def _scaled(value: Decimal, after: str, currency: str) -> Figure:
    """A value with what stands behind it: a scale (`million`), a unit, or neither."""
    unit, factor = "", Decimal(1)
    for word in after.split():
        if word in SCALES and (word != "m" or currency):
            factor *= SCALES[word]
        elif word in CURRENCIES:
            currency = CURRENCIES[word]
        elif not unit and word in UNITS:
            unit, per = UNITS[word]
            factor *= per
    return Figure(CURRENCIES.get(currency, currency) or unit, value * factor)


def _number(match: re.Match[str], rest: str) -> list[Figure]:
    values = _values(match["number"])
    if values is None:
        return [_text("text", match["number"])]
    if match["over"]:
        over = Decimal(match["over"])
        if not over:
            return [_text("text", f"{match['number']}/{match['over']}")]
        values[-1] /= over
    if match["power"]:
        values[-1] = values[-1].scaleb(int(match["power"]))
    if match["sign"] == "-":
        values[0] = -values[0]
    currency = (match["currency"] or "").strip().lower()
    after = (match["after"] or "").strip().lower()
    if after in SCALES or after == "per":
        # The unit of "1.5 million euros" is the word after the next.
        after = "percent" if after == "per" and rest.startswith(" cent") else f"{after}{rest}"
    figures = [Figure("", value) for value in values[:-1]]
    return [*figures, _scaled(values[-1], after, currency)]


def _spelled(text: str, after: str) -> Figure:
    total, part = 0, 0
    for word in re.split(r"[ -]", text.lower()):
        if word == "hundred":
            part = max(part, 1) * 100
        elif word in {"thousand", "million", "billion", "trillion"}:
            total, part = total + max(part, 1) * int(SCALES[word]), 0
        elif word in {"a", "an", "one"}:
            part += 1
        elif word != "and":
            part += _WORDS[word]
    return _scaled(Decimal(total + part), after.strip().lower(), "")


def _found(match: re.Match[str], text: str) -> list[Figure]:
    if match["number"] is not None:
        rest = re.match(r" [a-z€$£]{1,12}", text[match.end() : match.end() + 14].lower())
        return _number(match, rest[0] if rest else "")
    if match["word"] is not None:
        return [_spelled(match["word"], match["wordafter"] or "")]
    if match["time"] is not None or match["hour"] is not None:
        return [_time(match["time"] or match["hour"], match["half"] or match["hourhalf"])]
    if match["id"] is not None:
        return [_text("id", match["id"])]
    return [_day(match)]


def _word_after(match: re.Match[str]) -> str:
    """The word behind a number that is no unit, and so belongs to the text."""
    after = (match["after"] or match["wordafter"] or "").strip()
    lower = after.lower()
    known = lower in UNITS or lower in SCALES or lower in CURRENCIES or lower == "per"
    return "" if known else after


class _Scan(msgspec.Struct, frozen=True):
    figures: tuple[Figure, ...]
    words: str
    rewritten: str


# One comparison asks for the same few texts many times; no more than those are kept.
@lru_cache(maxsize=8)
def _scan(text: str) -> _Scan:
    if len(_MARKER.findall(text)) > 1:
        text = _MARKER.sub("", text)
    found: list[Figure] = []
    rest: list[str] = []
    rewritten: list[str] = []
    at = 0
    for match in _FIGURE.finditer(text):
        figures = _found(match, text)
        found += figures
        between, after = text[at : match.start()], _word_after(match)
        rest += (between, after)
        rewritten += (between, *map(str, figures), after)
        at = match.end()
    rest.append(text[at:])
    rewritten.append(text[at:])
    return _Scan(tuple(found), " ".join(rest), " ".join(rewritten))


def figures(text: str) -> list[Figure]:
    """The figures of a plain text in their order; the numbers of a numbered list are none."""
    return list(_scan(text).figures)


def without_figures(text: str) -> str:
    """The words of the text: a space for each figure and its unit."""
    return _scan(text).words


def rewritten(text: str) -> str:
    """The text with each figure in its one form, so that `0.5 g` is as like `500 mg` as it is."""
    return _scan(text).rewritten


def near(one: Figure, other: Figure, tolerance: float) -> bool:
    """Whether two figures are the same within a tolerance, a share of the larger."""
    if (one.unit, one.text) != (other.unit, other.text):
        return False
    larger = max(abs(one.value), abs(other.value))
    return abs(one.value - other.value) <= Decimal(str(tolerance)) * larger


def unmatched(
    one: list[Figure], other: list[Figure], tolerance: float = 0.0, *, repeats: bool = True
) -> tuple[list[Figure], list[Figure]]:
    """The figures that only one or only the other has.

    With `repeats` a figure that stands twice must stand twice in the other too. Figures within
    the tolerance are matched from the smallest up, in n log n.
    """
    left, right = Counter(one), Counter(other)
    if not repeats:
        left, right = Counter(set(one)), Counter(set(other))
    only_left = sorted((left - right).elements())
    only_right = sorted((right - left).elements())
    if not tolerance:
        return only_left, only_right
    rest_left: list[Figure] = []
    rest_right: list[Figure] = []
    i = j = 0
    while i < len(only_left) and j < len(only_right):
        if near(only_left[i], only_right[j], tolerance):
            i, j = i + 1, j + 1
        elif only_left[i] < only_right[j]:
            rest_left.append(only_left[i])
            i += 1
        else:
            rest_right.append(only_right[j])
            j += 1
    return [*rest_left, *only_left[i:]], [*rest_right, *only_right[j:]]


def same_order(one: list[Figure], other: list[Figure]) -> bool:
    """Whether the figures that both texts hold come in the same order."""
    shared = Counter(one) & Counter(other)
    if any(count > 1 for count in shared.values()):
        return one == other
    return [f for f in one if f in shared] == [f for f in other if f in shared]
