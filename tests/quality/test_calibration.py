"""The labelled pairs, the thresholds and the page of errors belong together."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from openclaw_jobs.quality import calibration
from openclaw_jobs.quality.calibrate import HELD_OUT, load, main, render, results, scores
from openclaw_jobs.quality.calibration import Pair
from openclaw_jobs.quality.models import Kind, Method
from openclaw_jobs.quality.thresholds import THRESHOLDS, threshold

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "comparison"
PAGE = ROOT / "docs" / "explanation" / "comparison.md"


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return load(DATA)


def test_the_set_is_large_and_balanced(pairs: list[Pair]) -> None:
    assert len(pairs) >= 300
    assert {pair.kind for pair in pairs} == set(Kind)
    assert 0.4 <= sum(pair.agree for pair in pairs) / len(pairs) <= 0.6
    for kind in Kind:
        labels = Counter(pair.agree for pair in pairs if pair.kind is kind)
        assert min(labels[True], labels[False]) >= 4, kind


def test_no_pair_is_held_out_and_fitted_on(pairs: list[Pair]) -> None:
    held_out = load(DATA / HELD_OUT)
    assert len(held_out) > 100
    assert not {pair.digest for pair in pairs} & {pair.digest for pair in held_out}
    assert not {pair.group for pair in pairs} & {pair.group for pair in held_out}


def test_the_page_is_what_the_command_writes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    main([str(DATA), "--write", str(page)])
    assert page.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")
    assert "<!--" not in page.read_text(encoding="utf-8")


def test_the_page_depends_on_the_pairs(tmp_path: Path) -> None:
    for path in [*DATA.glob("*.*"), *(DATA / HELD_OUT).glob("*.jsonl")]:
        target = tmp_path / path.relative_to(DATA)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    prose = tmp_path / "prose.jsonl"
    lines = prose.read_text(encoding="utf-8").splitlines()
    first = msgspec.json.decode(lines[0], type=Pair)
    turned = msgspec.structs.replace(first, agree=not first.agree)
    prose.write_text("\n".join([msgspec.json.encode(turned).decode(), *lines[1:]]) + "\n", "utf-8")
    assert render(tmp_path) != PAGE.read_text(encoding="utf-8")


def test_the_thresholds_are_the_calibrated_ones(pairs: list[Pair]) -> None:
    for method, scored in results(DATA, pairs).items():
        for kind, least in calibration.thresholds(scored).items():
            assert THRESHOLDS[kind][method] == pytest.approx(least), (kind, method)
            assert threshold(kind, method) == THRESHOLDS[kind][method]


def test_each_pair_has_a_recorded_semantic_score(pairs: list[Pair]) -> None:
    known = {pair.digest for pair in [*pairs, *load(DATA / HELD_OUT)]}
    assert set(scores(DATA)) == known


def test_what_the_guards_are_for(pairs: list[Pair]) -> None:
    """No changed number, no exchanged sign, no other type passes, whatever the method."""
    for method, scored in results(DATA, pairs).items():
        for one, said in calibration.cross_validated(scored):
            if one.pair.tag in {"number", "sign", "unit", "currency", "type", "bool"}:
                assert said is False or one.pair.agree, (method, one.pair.id, one.why)


def test_the_engine_is_better_than_likeness_alone(pairs: list[Pair]) -> None:
    for method, scored in results(DATA, pairs).items():
        engine = calibration.errors(calibration.cross_validated(scored))
        alone = calibration.errors(calibration.alone(scored))
        assert engine.false_agree <= 0.05 * engine.bad, method
        assert engine.false_disagree <= 0.15 * engine.good, method
        assert engine.false_agree + engine.false_disagree < 0.4 * (
            alone.false_agree + alone.false_disagree
        )


def test_folds_keep_groups_together(pairs: list[Pair]) -> None:
    folds: dict[str, set[int]] = {}
    for pair in pairs:
        folds.setdefault(pair.group, set()).add(calibration.fold(pair))
    assert all(len(parts) == 1 for parts in folds.values())
    assert len({part for parts in folds.values() for part in parts}) == calibration.FOLDS


def test_fitting_weighs_a_false_agreement_double() -> None:
    parted = [(0.9, True), (0.8, True), (0.5, False), (0.4, False)]
    assert 0.5 < calibration.fit(parted, 0.0) <= 0.8
    # One bad pair among two good ones: keeping it out costs as much as letting it in.
    assert calibration.fit([(0.6, True), (0.7, False), (0.8, True)], 0.0) > 0.7
    assert calibration.fit([(0.6, True)], 0.77) == 0.77


def test_auc() -> None:
    assert calibration.auc([(0.9, True), (0.1, False)]) == 1
    assert calibration.auc([(0.1, True), (0.9, False)]) == 0
    assert calibration.auc([(0.5, True), (0.5, False)]) == 0.5
    assert calibration.auc([(0.5, True)]) is None


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    line = msgspec.json.encode(load(DATA)[0])
    (tmp_path / "x.jsonl").write_bytes(line + b"\n" + line + b"\n")
    with pytest.raises(ValueError, match="twice"):
        load(tmp_path)


def test_a_changed_pair_has_no_score(pairs: list[Pair]) -> None:
    changed = msgspec.structs.replace(pairs[0], a="something new")
    with pytest.raises(KeyError):
        calibration.recorded(calibration.score([changed], Method.JACCARD), scores(DATA))
