"""Tasks with checkable answers, and workers who answer them well, loosely, or badly.

A question says all that its answer needs, so that a worker's program can answer it from the text
alone. Whoever answers well does so in its own form: another wording, layout or notation.
"""

import json
import random
import re
from collections.abc import Callable
from typing import Final, NamedTuple

_NAMES: Final = ("Ana Berg", "Ben Okoro", "Cleo Marsh", "Dario Rossi", "Elif Demir", "Finn Holt")
_THINGS: Final = ("lamps", "chairs", "notebooks", "bicycles", "kettles", "ladders")
_PLACES: Final = ("Harbour School", "the town library", "Mill Clinic", "the north depot")
_STRAYS: Final = ("marbles", "ribbons", "hammers", "pillows", "wheels", "candles")
_MONTHS: Final = ("March", "April", "May", "June", "July", "August")


class Question(NamedTuple):
    """What a buyer asks."""

    category: str
    prompt: str


class _Kind(NamedTuple):
    category: str
    pattern: re.Pattern[str]
    ask: Callable[[random.Random], str]
    answer: Callable[[re.Match[str], random.Random], str]


def _ask_total(rng: random.Random) -> str:
    numbers = [rng.randint(12, 980) for _ in range(rng.randint(3, 6))]
    return f"What is the total of {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}?"


def _total(match: re.Match[str], rng: random.Random) -> str:
    total = sum(map(int, re.findall(r"\d+", match[1])))
    return rng.choice(
        ("{}", "The total is {}.", "**{}**", "Answer: {}", "The answer is {}.", "= {}")
    ).format(total)


def _ask_order(rng: random.Random) -> str:
    name, thing = rng.choice(_NAMES), rng.choice(_THINGS)
    return (
        f"Write the order of {name}, {rng.randint(2, 60)} {thing} at {rng.randint(3, 90)} each, as"
        " JSON with the keys name, item, quantity and total."
    )


def _order(match: re.Match[str], rng: random.Random) -> str:
    quantity, price = int(match[2]), int(match[4])
    pairs = [
        ("name", match[1]),
        ("item", match[3]),
        ("quantity", quantity),
        ("total", quantity * price),
    ]
    rng.shuffle(pairs)
    text = json.dumps(dict(pairs), indent=rng.choice((None, 2, 4)))
    return f"```json\n{text}\n```" if rng.random() < 0.3 else text


def _ask_primes(rng: random.Random) -> str:
    return f"List the {rng.randint(4, 7)} smallest prime numbers above {rng.randint(20, 900)}."


def _primes(match: re.Match[str], rng: random.Random) -> str:
    found: list[int] = []
    number = int(match[2])
    while len(found) < int(match[1]):
        number += 1
        if all(number % divisor for divisor in range(2, int(number**0.5) + 1)):
            found.append(number)
    form = rng.randrange(3)
    if form == 0:
        return ", ".join(map(str, found))
    if form == 1:
        return "\n".join(f"- {number}" for number in found)
    return "\n".join(map(str, found))


def _ask_sorted(rng: random.Random) -> str:
    words = rng.sample([*_THINGS, "anchors", "brooms", "drums", "jugs", "plates", "saddles"], 6)
    return f"Sort these words by the alphabet: {', '.join(words)}."


def _sorted(match: re.Match[str], rng: random.Random) -> str:
    words = sorted(match[1].split(", "))
    form = rng.randrange(3)
    if form == 0:
        return ", ".join(words)
    return "\n".join((f"- {word}" if form == 1 else word) for word in words)


def _ask_news(rng: random.Random) -> str:
    name, thing, place = rng.choice(_NAMES), rng.choice(_THINGS), rng.choice(_PLACES)
    return (
        f"Make one sentence of these notes. Who: {name}. What: {rng.randint(3, 90)} {thing}. To:"
        f" {place}. When: {rng.randint(1, 28)} {rng.choice(_MONTHS)}."
    )


def _news(match: re.Match[str], rng: random.Random) -> str:
    who, what, where, when = match.groups()
    return rng.choice(
        (
            f"{who} delivered {what} to {where} on {when}.",
            f"On {when}, {who} delivered {what} to {where}.",
            f"On {when} {what} were delivered to {where} by {who}.",
            f"{who} brought {what} to {where} on {when}.",
        )
    )


_KINDS: Final = (
    _Kind("data", re.compile(r"What is the total of (.+)\?"), _ask_total, _total),
    _Kind(
        "coding",
        re.compile(r"Write the order of (.+?), (\d+) (\w+) at (\d+) each"),
        _ask_order,
        _order,
    ),
    _Kind(
        "research",
        re.compile(r"List the (\d+) smallest prime numbers above (\d+)"),
        _ask_primes,
        _primes,
    ),
    _Kind("general", re.compile(r"Sort these words by the alphabet: (.+)\."), _ask_sorted, _sorted),
    _Kind(
        "writing",
        re.compile(r"Who: (.+)\. What: (.+)\. To: (.+)\. When: (.+)\."),
        _ask_news,
        _news,
    ),
)


def ask(rng: random.Random) -> Question:
    """Any question."""
    kind = rng.choice(_KINDS)
    return Question(kind.category, kind.ask(rng))


def right(prompt: str, rng: random.Random) -> str:
    """The answer, in one of its forms.

    Raises:
        ValueError: This is none of our questions.
    """
    for kind in _KINDS:
        match = kind.pattern.search(prompt)
        if match is not None:
            return kind.answer(match, rng)
    raise ValueError(prompt)


def wrong(prompt: str, rng: random.Random) -> str:
    """An answer that looks like the right one: one number or one word is another."""
    text = right(prompt, rng)
    numbers = list(re.finditer(r"\d+", text))
    if numbers:
        chosen = rng.choice(numbers)
        changed = int(chosen[0]) + rng.randint(1, 40)
        return f"{text[: chosen.start()]}{changed}{text[chosen.end() :]}"
    words = re.findall(r"\w+", text)
    return text.replace(rng.choice(words), rng.choice(_STRAYS))
