"""The page of errors, `docs/explanation/comparison.md`, from what calibration found."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from openclaw_jobs.quality import calibration as c
from openclaw_jobs.quality.models import Kind, Method
from openclaw_jobs.quality.thresholds import THRESHOLDS

METHODS: Final = (Method.JACCARD, Method.TOKEN_SORT, Method.SEMANTIC)
_OLD_THRESHOLD: Final = 0.8

Results = Mapping[Method, Sequence[c.Scored]]
Decided = Sequence[tuple[c.Scored, bool]]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _wrong(decided: Decided) -> str:
    found = c.errors(decided)
    return f"{found.false_agree} / {found.false_disagree}"


def _of(decided: Decided, kind: Kind) -> Decided:
    return [(one, said) for one, said in decided if one.pair.kind is kind]


def errors_table(results: Results, decide: Callable[[Sequence[c.Scored]], Decided]) -> str:
    """False agreements and false disagreements by labelled kind and method."""
    decided = {method: decide(scored) for method, scored in results.items()}
    rows: list[list[object]] = []
    for kind in Kind:
        any_method = next(iter(decided.values()))
        counts = c.errors(_of(any_method, kind))
        if counts.good + counts.bad:
            wrong = [_wrong(_of(found, kind)) for found in decided.values()]
            rows.append([kind.value, counts.good, counts.bad, *wrong])
    total = c.errors(next(iter(decided.values())))
    wrong = [f"**{_wrong(found)}**" for found in decided.values()]
    rows.append(["**all**", total.good, total.bad, *wrong])
    return _table(["kind", "good", "bad", *(f"`{method.value}`" for method in results)], rows)


def auc_table(results: Results) -> str:
    """AUC by kind and method: likeness alone, and with the deterministic parts before it."""
    rows: list[list[object]] = []
    for kind in (None, *Kind):
        cells: list[object] = []
        for scored in results.values():
            chosen = [one for one in scored if kind is None or one.pair.kind is kind]
            raw = c.auc([(one.raw, one.pair.agree) for one in chosen])
            parts = c.auc([(c.with_parts(one), one.pair.agree) for one in chosen])
            cells += ["-" if value is None else f"{value:.2f}" for value in (raw, parts)]
        rows.append([kind.value if kind else "**all**", *cells])
    head = ["kind"]
    for method in results:
        head += [f"`{method.value}` alone", "in the engine"]
    return _table(head, rows)


def tags_table(scored: Sequence[c.Scored]) -> str:
    """For each way to be bad, how many such pairs likeness alone and the engine let pass."""
    alone, engine = c.alone(scored), c.cross_validated(scored)
    counts = {}
    for tag in sorted({one.pair.tag for one in scored if not one.pair.agree}):
        passed = [
            sum(said for one, said in found if one.pair.tag == tag and not one.pair.agree)
            for found in (alone, engine)
        ]
        total = sum(one.pair.tag == tag and not one.pair.agree for one in scored)
        counts[tag] = (total, *passed)
    rows = sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))
    return _table(
        ["what is wrong", "pairs", "pass by likeness alone", "pass the engine"],
        [[tag, *cells] for tag, cells in rows],
    )


def thresholds_table(results: Results) -> str:
    """The fitted thresholds."""
    fitted = {method: c.thresholds(scored) for method, scored in results.items()}
    rows = [
        [kind.value, *(f"{least[kind]:.2f}" for least in fitted.values())] for kind in THRESHOLDS
    ]
    return _table(["texts taken for", *(f"`{method.value}`" for method in results)], rows)


def mistakes_table(decided: Decided) -> str:
    """Every pair that the engine judges wrongly."""
    rows = [
        [f"`{one.pair.id}`", one.pair.tag, "agree" if said else "disagree", one.why]
        for one, said in sorted(decided, key=lambda item: item[0].pair.id)
        if said is not one.pair.agree
    ]
    return _table(["pair", "tag", "wrongly said", "because"], rows)


def page(template: str, tuned: Results, held_out: Results) -> str:
    """Fill the page's template: `<!-- name -->` stands for a table or a figure."""
    usual = tuned[Method.TOKEN_SORT]
    fitted = {method: c.thresholds(scored) for method, scored in tuned.items()}

    def fixed(scored: Sequence[c.Scored]) -> Decided:
        return c.applied(scored, dict.fromkeys(THRESHOLDS, _OLD_THRESHOLD))

    tables = {
        "errors": errors_table(tuned, c.cross_validated),
        "alone": errors_table(tuned, c.alone),
        "old": errors_table({Method.TOKEN_SORT: usual}, fixed),
        "auc": auc_table(tuned),
        "tags": tags_table(usual),
        "thresholds": thresholds_table(tuned),
        "mistakes": mistakes_table(c.cross_validated(usual)),
        "held_out": _held_out(held_out, fitted),
        "held_out_mistakes": mistakes_table(
            c.applied(held_out[Method.TOKEN_SORT], fitted[Method.TOKEN_SORT])
        ),
        "pairs": str(len(usual)),
        "held_out_pairs": str(len(held_out[Method.TOKEN_SORT])),
        "open": str(sum(one.verdict is None for one in usual)),
    }
    for name, table in tables.items():
        template = template.replace(f"<!-- {name} -->", table)
    return template


def _held_out(results: Results, fitted: Mapping[Method, Mapping[Kind, float]]) -> str:
    decided = {method: c.applied(scored, fitted[method]) for method, scored in results.items()}
    rows: list[list[object]] = []
    for kind in (*Kind, None):
        chosen = {
            method: found if kind is None else _of(found, kind) for method, found in decided.items()
        }
        counts = c.errors(chosen[Method.TOKEN_SORT])
        if counts.good + counts.bad:
            name = kind.value if kind else "**all**"
            rows.append([name, counts.good, counts.bad, *map(_wrong, chosen.values())])
    return _table(["kind", "good", "bad", *(f"`{method.value}`" for method in results)], rows)
