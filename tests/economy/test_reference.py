"""docs/reference/configuration.md describes every field as the code has it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from openclaw_jobs.economy import DEFAULT_CONFIG, SECTIONS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def documented() -> dict[str, dict[str, list[str]]]:
    """The table rows below each heading: {key: {field: [cell, ...]}}."""
    tables: dict[str, dict[str, list[str]]] = {}
    rows: dict[str, list[str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            rows = {}
            if heading := re.fullmatch(r"## `(\w+)`", line):
                tables[heading[1]] = rows
        elif match := re.match(r"\| `([\w.]+)` \|", line):
            assert match[1] not in rows, f"{match[1]} is described twice"
            rows[match[1]] = [cell.strip() for cell in line.strip("|").split("|")]
    return tables


def leaves(path: str, field_type: inspect.Type, value: object) -> Iterator[tuple[str, Any, Any]]:
    """Each field that has a row of its own: its path, type and default."""
    if isinstance(field_type, inspect.StructType) and field_type.cls.__name__ != "RateLimit":
        for field in field_type.fields:
            below = f"{path}.{field.name}" if path else field.name
            yield from leaves(below, field.type, getattr(value, field.name))
    else:
        yield path, field_type, msgspec.to_builtins(value)


def numbers(field_type: inspect.Type) -> str:
    """The range of a type in the words of the page."""
    match field_type:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=ge, le=le):
            return f"{ge}–{le}"  # noqa: RUF001 - a range is written with a dash
        case inspect.UnionType(types=types):
            kinds = [t for t in types if not isinstance(t, inspect.NoneType)]
            prefix = "number " if len(kinds) > 1 else ""
            return prefix + numbers(kinds[0]) + (" or null" if len(kinds) < len(types) else "")
        case inspect.DictType(value_type=value_type):
            return numbers(value_type) + " each"
    raise AssertionError(f"the page has no words for {field_type}")


def test_every_section_has_its_heading() -> None:
    assert list(documented()) == list(SECTIONS)


@pytest.mark.parametrize("key", SECTIONS)
def test_the_page_tells_every_field_its_range_and_its_default(key: str) -> None:
    rows = documented()[key]
    expected = list(leaves("", inspect.type_info(SECTIONS[key]), getattr(DEFAULT_CONFIG, key)))
    assert list(rows) == [path for path, _, _ in expected]
    for path, field_type, default in expected:
        cells = rows[path]
        assert json.loads(cells[-1].strip("`")) == default, path
        if key != "rate_limits":
            assert cells[-2] == numbers(field_type), path
            unit = {"_cents": "cents", "_seconds": "seconds", "_hours": "hours"}
            for suffix, word in unit.items():
                if path.endswith(suffix):
                    assert cells[-3].startswith(word), path
