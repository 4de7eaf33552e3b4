"""Figures in a page of the documentation, between two markers for each part of the benchmark."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.report import Figure, show_number

_BEGIN: Final = "<!-- bench {}: begin -->"
_END: Final = "<!-- bench {}: end -->"


def parts_in(page: Path, parts: Sequence[str]) -> list[str]:
    """Those of the parts that the page has a place for.

    Raises:
        ValueError: It has a place for none of them.
    """
    text = page.read_text(encoding="utf-8")
    found = [p for p in parts if 0 <= text.find(_BEGIN.format(p)) < text.find(_END.format(p))]
    if not found:
        raise ValueError(f"{page} has no place for any of {', '.join(parts)}")
    return found


def write(page: Path, part: str, figures: Sequence[Figure]) -> None:
    """Replace what stands between the markers of a part."""
    text = page.read_text(encoding="utf-8")
    begin, end = _BEGIN.format(part), _END.format(part)
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    lines = [
        begin,
        "| figure | measured | must reach | |",
        "| --- | --- | --- | --- |",
        *(_line(figure) for figure in figures),
        "",
        "Written by:",
        "",
        "```sh",
        f"python -m bench --only {part} --write-docs {page.as_posix()}",
        "```",
        end,
    ]
    page.write_text(before + "\n".join(lines) + after, encoding="utf-8")


def _line(figure: Figure) -> str:
    aim = ""
    if figure.aim is not None:
        sign = "≤" if figure.aim_at_most else "≥"
        met = figure.value <= figure.aim if figure.aim_at_most else figure.value >= figure.aim
        aim = f"{sign} {show_number(figure.aim)}{'' if met else ', **missed**'}"
    value = f"{show_number(figure.value)} {figure.unit}".rstrip()
    return f"| {figure.name} | {value} | {aim} | {figure.note} |"
