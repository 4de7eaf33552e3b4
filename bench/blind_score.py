"""How well what workers saw tells hidden tasks from paid ones."""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from bench.blind_crowd import Sight

Floats: TypeAlias = NDArray[np.float64]
_FOLDS: Final = 5
_RESAMPLES: Final = 400
_LOWEST: Final = 2.5


class Score(NamedTuple):
    """An area under the ROC curve, 0.5 for blind guessing, with its 95% bounds."""

    auc: float
    low: float
    high: float


class Table(NamedTuple):
    """What was seen as numbers: a row for each task, a column for each thing."""

    names: list[str]
    values: Floats


def table(sights: Sequence[Sight]) -> Table:
    """All that was seen; a form of text is a number by its rank, and what is missing is missing."""
    names = sorted({name for sight in sights for name in sight.seen})
    forms: dict[str, dict[str, int]] = defaultdict(dict)
    values = np.full((len(sights), len(names)), np.nan)
    for row, sight in enumerate(sights):
        for column, name in enumerate(names):
            value = sight.seen.get(name)
            if isinstance(value, str):
                known = forms[name]
                value = known.setdefault(value, len(known))
            if value is not None:
                values[row, column] = value
    # The time of day itself is no more than the order of the run.
    kept = [c for c, n in enumerate(names) if not n.endswith("task_id.ms")]
    moving = [c for c in kept if _moves(values[:, c])]
    return Table([names[c] for c in moving], values[:, moving])


def _moves(column: Floats) -> bool:
    return len(np.unique(column[~np.isnan(column)])) > 1


def foretell(values: Floats, hidden: NDArray[np.bool_], groups: Sequence[Any]) -> Floats:
    """How likely each task is hidden, by a classifier that saw no other task of its group."""
    told = np.zeros(len(hidden))
    folds = StratifiedGroupKFold(n_splits=_FOLDS, shuffle=True, random_state=1)
    for train, test in folds.split(values, hidden, groups):
        model = HistGradientBoostingClassifier(
            max_iter=120, learning_rate=0.08, min_samples_leaf=40, random_state=1
        )
        # What is all the same to those it learns from teaches nothing, and the library refuses it.
        moving = [c for c in range(values.shape[1]) if _moves(values[train, c])]
        model.fit(values[np.ix_(train, moving)], hidden[train])
        told[test] = model.predict_proba(values[np.ix_(test, moving)])[:, 1]
    return told


def score(told: Floats, hidden: NDArray[np.bool_], groups: Sequence[Any]) -> Score:
    """The area, with bounds by drawing groups again and again."""
    rng = np.random.default_rng(1)
    rows = defaultdict(list)
    for row, group in enumerate(groups):
        rows[group].append(row)
    parts = [np.array(found) for found in rows.values()]
    areas = []
    for _ in range(_RESAMPLES):
        drawn = np.concatenate([parts[at] for at in rng.integers(len(parts), size=len(parts))])
        if 0 < hidden[drawn].sum() < len(drawn):
            areas.append(roc_auc_score(hidden[drawn], told[drawn]))
    low, high = np.percentile(areas, [_LOWEST, 100 - _LOWEST])
    return Score(float(roc_auc_score(hidden, told)), float(low), float(high))


def best_columns(found: Table, hidden: NDArray[np.bool_], most: int) -> list[tuple[str, float]]:
    """Which columns alone tell most: by the area of their values, or of their absence."""
    areas = []
    for column, name in enumerate(found.names):
        values = found.values[:, column]
        missing = np.isnan(values)
        filled = np.where(missing, np.nanmin(values) - 1, values)
        area = roc_auc_score(hidden, filled)
        areas.append((name, float(max(area, 1 - area))))
    return sorted(areas, key=lambda each: -each[1])[:most]


def pooled(sights: Sequence[Sight], hidden: NDArray[np.bool_], owners: int) -> tuple[float, float]:
    """What workers learn who compare the texts they were shown.

    Returns:
        The share of hidden tasks whose text another of them was shown before, and the share of
        paid tasks.
    """
    rng = random.Random(1)  # noqa: S311 - no secret
    workers = sorted({sight.worker for sight in sights})
    ours = set(rng.sample(workers, min(owners, len(workers))))
    shown: dict[str, int] = {}
    counts = {True: [0, 0], False: [0, 0]}
    for row in sorted(range(len(sights)), key=lambda at: sights[at].at):
        sight = sights[row]
        if sight.worker not in ours:
            continue
        count = counts[bool(hidden[row])]
        count[0] += 1
        count[1] += shown.setdefault(sight.prompt, sight.worker) != sight.worker
    return tuple(repeats / max(1, all_) for all_, repeats in (counts[True], counts[False]))  # type: ignore[return-value]
