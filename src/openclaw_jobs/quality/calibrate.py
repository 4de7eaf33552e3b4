r"""Calibrate the thresholds on labelled pairs and write the page of errors.

    python -m openclaw_jobs.quality.calibrate tests/data/comparison \
        --write docs/explanation/comparison.md

The folder holds pairs in `*.jsonl`, pairs that nothing is fitted on in `held_out/`, the page's
prose in `page.md`, and in `semantic.json` the recorded likeness by embeddings, so that the page can
be made without them; `--measure` records it anew and needs the extra `semantic`. The command
prints the thresholds; `thresholds.py` takes them over by hand, so that a change is looked at.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from openclaw_jobs.quality.calibration import Pair, Score, Scored, recorded, score
from openclaw_jobs.quality.models import Method
from openclaw_jobs.quality.report import page, thresholds_table
from openclaw_jobs.quality.semantic import load_embedder

SCORES: Final = "semantic.json"
TEMPLATE: Final = "page.md"
HELD_OUT: Final = "held_out"


def load(folder: Path) -> list[Pair]:
    """The pairs in a folder's own files, in the order of names and lines.

    Raises:
        msgspec.ValidationError: A line is no pair.
        ValueError: Two pairs have one id.
    """
    decoder = msgspec.json.Decoder(Pair)
    pairs = [
        decoder.decode(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    if len({pair.id for pair in pairs}) < len(pairs):
        raise ValueError(f"an id stands twice in {folder}")
    return pairs


def scores(folder: Path) -> dict[str, Score]:
    """The recorded semantic likenesses."""
    return msgspec.json.decode((folder / SCORES).read_bytes(), type=dict[str, Score])


def results(folder: Path, pairs: Sequence[Pair]) -> dict[Method, list[Scored]]:
    """Every method's word on the pairs."""
    usual = score(pairs, Method.TOKEN_SORT)
    return {
        Method.JACCARD: score(pairs, Method.JACCARD),
        Method.TOKEN_SORT: usual,
        Method.SEMANTIC: recorded(usual, scores(folder)),
    }


def record(folder: Path) -> None:
    """Measure the semantic likeness of all pairs and write it down."""
    pairs = [*load(folder), *load(folder / HELD_OUT)]
    found = {
        one.pair.digest: Score(round(one.guarded, 3), round(one.raw, 3))
        for one in score(pairs, Method.SEMANTIC, load_embedder())
    }
    text = msgspec.json.format(msgspec.json.encode(found, order="sorted"), indent=1)
    (folder / SCORES).write_bytes(text + b"\n")


def render(folder: Path) -> str:
    """The page, from the folder alone."""
    template = (folder / TEMPLATE).read_text(encoding="utf-8")
    tuned, held_out = load(folder), load(folder / HELD_OUT)
    return page(template, results(folder, tuned), results(folder, held_out))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="the labelled pairs")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page of errors here")
    parser.add_argument("--measure", action="store_true", help="record the semantic scores anew")
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        record(chosen.folder)
    if chosen.write:
        chosen.write.write_text(render(chosen.folder), encoding="utf-8")
    sys.stdout.write(thresholds_table(results(chosen.folder, load(chosen.folder))) + "\n")


if __name__ == "__main__":
    main()
