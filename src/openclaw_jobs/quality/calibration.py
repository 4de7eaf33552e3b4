"""Measuring the engine on labelled pairs, and fitting its thresholds by cross-validation."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from openclaw_jobs.quality.compare import measure
from openclaw_jobs.quality.models import Embed, Kind, Method, Settings
from openclaw_jobs.quality.normalise import clean, plain
from openclaw_jobs.quality.similarity import likeness
from openclaw_jobs.quality.thresholds import THRESHOLDS

FALSE_AGREE_WEIGHT: Final = 2
"""A bad result that passes costs the buyer; a good one that is doubted costs a third opinion."""

FOLDS: Final = 10
_GRID: Final = tuple(step / 100 for step in range(30, 101))
_SURE: Final = 2.0


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A labelled pair, as a line of the data has it; see the data's README."""

    id: str
    group: str
    kind: Kind
    agree: bool
    tag: str
    a: str
    b: str

    @property
    def digest(self) -> str:
        """What a recorded score belongs to."""
        return hashlib.sha256(f"{self.a}\0{self.b}".encode()).hexdigest()[:16]


class Score(msgspec.Struct, frozen=True):
    """The likeness of one pair by a method that can't be run everywhere: in the engine, alone."""

    guarded: float
    raw: float


class Scored(msgspec.Struct, frozen=True):
    """A pair with what one method makes of it.

    `verdict` is what the deterministic parts say; `guarded` the likeness where they say nothing,
    of texts that were taken for `kind`; `raw` the likeness of the whole texts without any of them.
    """

    pair: Pair
    kind: Kind
    verdict: bool | None
    guarded: float
    raw: float
    why: str

    def agrees(self, threshold: float) -> bool:
        """What the engine says with this threshold."""
        return self.guarded >= threshold if self.verdict is None else self.verdict


class Errors(msgspec.Struct, frozen=True):
    """How often a method is wrong on some pairs."""

    good: int
    bad: int
    false_agree: int
    false_disagree: int


def score(pairs: Iterable[Pair], method: Method, embed: Embed | None = None) -> list[Scored]:
    """Run one method over pairs."""
    found = []
    for pair in pairs:
        measured = measure(pair.a, pair.b, settings=Settings(method=method), embed=embed)
        raw = likeness(plain(clean(pair.a)), plain(clean(pair.b)), method, embed)
        found.append(
            Scored(pair, measured.kind, measured.verdict, measured.similarity, raw, measured.why)
        )
    return found


def recorded(scored: Sequence[Scored], scores: Mapping[str, Score]) -> list[Scored]:
    """The same pairs with recorded likenesses, under the deterministic parts of now.

    Raises:
        KeyError: A pair has no score, or changed since it was recorded.
    """
    return [
        msgspec.structs.replace(
            one, guarded=scores[one.pair.digest].guarded, raw=scores[one.pair.digest].raw
        )
        for one in scored
    ]


def fit(values: Sequence[tuple[float, bool]], default: float) -> float:
    """The threshold of least cost for likenesses and labels; the middle where several are best.

    Without both labels there is nothing to part, and the default stays.
    """
    if len({agree for _, agree in values}) < 2:  # noqa: PLR2004 - both labels
        return default
    costs = {
        least: sum(
            (FALSE_AGREE_WEIGHT if value >= least else 0) if not agree else value < least
            for value, agree in values
        )
        for least in _GRID
    }
    best = [least for least in _GRID if costs[least] == min(costs.values())]
    return best[len(best) // 2]


def _open(scored: Iterable[Scored], kind: Kind) -> list[tuple[float, bool]]:
    return [
        (one.guarded, one.pair.agree) for one in scored if one.verdict is None and one.kind is kind
    ]


def thresholds(scored: Sequence[Scored]) -> dict[Kind, float]:
    """The fitted threshold of each kind that has one."""
    everything = [(s.guarded, s.pair.agree) for s in scored if s.verdict is None]
    default = fit(everything, max(_GRID))
    return {kind: fit(_open(scored, kind), default) for kind in THRESHOLDS}


def fold(pair: Pair) -> int:
    """Which tenth a pair's group is in; from the name, so that new groups move no other."""
    return hashlib.sha256(pair.group.encode()).digest()[0] % FOLDS


def cross_validated(scored: Sequence[Scored]) -> list[tuple[Scored, bool]]:
    """What the engine says of each pair with thresholds that were fitted without its fold."""
    found = []
    for part in range(FOLDS):
        least = thresholds([one for one in scored if fold(one.pair) != part])
        found += [
            (one, one.agrees(least.get(one.kind, least[Kind.PROSE])))
            for one in scored
            if fold(one.pair) == part
        ]
    return found


def alone(scored: Sequence[Scored]) -> list[tuple[Scored, bool]]:
    """The same for likeness alone, with one threshold a labelled kind and no deterministic part."""
    found = []
    for part in range(FOLDS):
        rest = [one for one in scored if fold(one.pair) != part]
        everything = fit([(one.raw, one.pair.agree) for one in rest], max(_GRID))
        for kind in Kind:
            values = [(one.raw, one.pair.agree) for one in rest if one.pair.kind is kind]
            least = fit(values, everything)
            found += [
                (one, one.raw >= least)
                for one in scored
                if fold(one.pair) == part and one.pair.kind is kind
            ]
    return found


def applied(scored: Sequence[Scored], least: Mapping[Kind, float]) -> list[tuple[Scored, bool]]:
    """What the engine says of each pair with given thresholds."""
    return [(one, one.agrees(least.get(one.kind, least[Kind.PROSE]))) for one in scored]


def errors(decided: Iterable[tuple[Scored, bool]]) -> Errors:
    """Count what went wrong."""
    rows = [(one.pair.agree, said) for one, said in decided]
    return Errors(
        good=sum(agree for agree, _ in rows),
        bad=sum(not agree for agree, _ in rows),
        false_agree=sum(said and not agree for agree, said in rows),
        false_disagree=sum(agree and not said for agree, said in rows),
    )


def auc(values: Sequence[tuple[float, bool]]) -> float | None:
    """The chance that a good pair scores above a bad one, ties half; None without both labels."""
    good = [value for value, agree in values if agree]
    bad = [value for value, agree in values if not agree]
    if not good or not bad:
        return None
    wins = sum((g > b) + (g == b) / 2 for g in good for b in bad)
    return wins / (len(good) * len(bad))


def with_parts(one: Scored) -> float:
    """A pair's place in the engine's order: vetoed, by likeness, agreed."""
    return one.guarded if one.verdict is None else _SURE if one.verdict else one.guarded - _SURE
