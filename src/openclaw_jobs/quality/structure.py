"""Comparing JSON: the order of keys and the form of a number are free, all else counts."""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn, TypeAlias

import msgspec

Value: TypeAlias = object
"""A dict, a list, a str, a Decimal, a bool or None."""

_FENCE: Final = re.compile(
    r"^[ \t]{0,9}```[ \t]{0,9}(?:json[\w-]{0,9})?[ \t]{0,9}\n(.*?)^[ \t]{0,9}```[ \t]*$",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_OPENS: Final = ("{", "[")
_MAX_KEY: Final = 60


class Difference(msgspec.Struct, frozen=True):
    """How two JSON values differ: leaves alike and in all, the first place, long texts there."""

    alike: int
    leaves: int
    where: str | None
    texts: tuple[tuple[str, str, str], ...]


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _object(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice, and readers differ in which one counts")
    return found


def body(text: str) -> str:
    """What may be the JSON of an answer: its only fenced block, or all of it."""
    blocks = _FENCE.findall(text) if text.count("```") == 2 else []  # noqa: PLR2004 - open, close
    return (blocks[0] if blocks else text).strip()


def looks_like(text: str) -> bool:
    """Whether the answer is meant as JSON, well-formed or not."""
    return body(text).startswith(_OPENS)


def parse(text: str) -> dict[str, Value] | list[Value] | None:
    """The object or array in an answer; None where there is no well-formed one.

    Nested deeper than the interpreter's stack is not well-formed either.
    """
    found = body(text)
    if not found.startswith(_OPENS):
        return None
    try:
        return json.loads(  # type: ignore[no-any-return]
            found,
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=_refuse,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError, InvalidOperation):
        return None


def _is_text(value: str) -> bool:
    return len(value.split(None, 6)) > 5  # noqa: PLR2004 - from six words on a string is prose


def _leaves(value: Value) -> int:
    count, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict) and item:
            waiting.extend(item.values())
        elif isinstance(item, list) and item:
            waiting.extend(item)
        else:
            count += 1
    return count


def difference(one: Value, other: Value) -> Difference:
    """Walk two values side by side, without recursion, and count what is alike.

    Strings are compared as they stand but for outer spaces; where both are prose, they are left
    to the caller in `texts` (path, one, other).
    """
    alike = leaves = 0
    where: str | None = None
    texts: list[tuple[str, str, str]] = []
    waiting: list[tuple[str, Value, Value]] = [("$", one, other)]
    while waiting:
        path, a, b = waiting.pop()
        same = False
        if isinstance(a, dict) and isinstance(b, dict) and (a or b):
            for key in sorted(a.keys() ^ b.keys()):
                leaves += _leaves(a[key] if key in a else b[key])
                where = where or f"{path}.{key[:_MAX_KEY]} is only in one"
            waiting.extend(
                (f"{path}.{key[:_MAX_KEY]}"[:200], a[key], b[key])
                for key in sorted(a.keys() & b.keys(), reverse=True)
            )
            continue
        if isinstance(a, list) and isinstance(b, list) and (a or b):
            if len(a) != len(b):
                leaves += sum(map(_leaves, [*a[len(b) :], *b[len(a) :]]))
                where = where or f"{path} has {len(a)} items in one and {len(b)} in the other"
            pairs = list(enumerate(zip(a, b, strict=False)))
            waiting.extend((f"{path}[{i}]"[:200], x, y) for i, (x, y) in reversed(pairs))
            continue
        leaves += max(_leaves(a), _leaves(b))
        if isinstance(a, str) and isinstance(b, str):
            same = a.strip() == b.strip()
            if not same and _is_text(a) and _is_text(b):
                texts.append((path, a, b))
                continue
        else:
            same = type(a) is type(b) and a == b
        alike += same
        if not same:
            where = where or f"{path} differs"
    return Difference(alike, leaves, where, tuple(texts))
