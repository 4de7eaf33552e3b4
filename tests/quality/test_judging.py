"""What comparing results comes to, with nothing of a marketplace around it."""

from functools import partial

import pytest

from openclaw_jobs.economy import ComparisonRule
from openclaw_jobs.quality import Method, Settings, compare
from openclaw_jobs.quality.checks import CheckKind, CheckStage, Texts
from openclaw_jobs.quality.comparing import settings_of
from openclaw_jobs.quality.judging import judge
from openclaw_jobs.quality.record import Verdict
from tests.quality.check_steps import OTHER, RIGHT, WRONG

REFUSAL = "I'm sorry, but I can't help with that."
GOOD, BAD, UNCLEAR = Verdict.GOOD, Verdict.BAD, Verdict.INCONCLUSIVE
COMPARE = partial(compare, settings=Settings())


def texts(
    *results: str | None,
    kind: CheckKind = "spot",
    stage: CheckStage = "comparing",
    answers: list[str] | None = None,
) -> Texts:
    first, second, third = (*results, None, None, None)[:3]
    return Texts(
        check_id="chk",
        kind=kind,
        stage=stage,
        category="general",
        first=first,
        second=second,
        third=third,
        answers=answers,
    )


def test_two_that_agree() -> None:
    found = judge(texts(RIGHT, RIGHT.lower()), COMPARE)
    assert found is not None
    assert (found.first, found.second, found.asks_third) == (GOOD, GOOD, False)


@pytest.mark.parametrize(
    "pair", [(RIGHT, WRONG), ("", ""), (REFUSAL, REFUSAL), ("", RIGHT), (REFUSAL, RIGHT)]
)
def test_two_that_do_not(pair: tuple[str, str]) -> None:
    found = judge(texts(*pair), COMPARE)
    assert found is not None
    assert (found.first, found.second, found.asks_third) == (None, None, True)


@pytest.mark.parametrize(
    ("results", "verdicts"),
    [
        ((RIGHT, WRONG, RIGHT), (GOOD, BAD)),
        ((WRONG, RIGHT, RIGHT), (BAD, GOOD)),
        ((RIGHT, WRONG, OTHER), (UNCLEAR, UNCLEAR)),
        (("", RIGHT, RIGHT), (BAD, GOOD)),
        ((RIGHT, REFUSAL, RIGHT), (GOOD, BAD)),
        # Who agrees that there is no answer is not said to be right.
        (("", RIGHT, ""), (UNCLEAR, UNCLEAR)),
        ((REFUSAL, RIGHT, REFUSAL), (UNCLEAR, UNCLEAR)),
        ((REFUSAL, REFUSAL, RIGHT), (UNCLEAR, UNCLEAR)),
        # To hand in nothing is no answer to anything that somebody can answer.
        (("", " \n", RIGHT), (BAD, BAD)),
        (("", "", REFUSAL), (UNCLEAR, UNCLEAR)),
        (("", "", ""), (None, None)),
        ((REFUSAL, REFUSAL, REFUSAL), (None, None)),
    ],
)
def test_three(
    results: tuple[str, str, str], verdicts: tuple[Verdict | None, Verdict | None]
) -> None:
    found = judge(texts(*results, stage="deciding"), COMPARE)
    assert found is not None
    assert (found.first, found.second) == verdicts
    assert not found.asks_third


def test_gold() -> None:
    answers = ["Canberra", "No."]
    for result, verdict in (("canberra", GOOD), ("no", GOOD), ("Sydney", BAD), ("", BAD)):
        found = judge(texts(None, result, kind="gold", answers=answers), COMPARE)
        assert found is not None
        assert (found.first, found.second) == (None, verdict), result
    # Where to refuse is the right answer, it is.
    found = judge(texts(None, REFUSAL, kind="gold", answers=["I can't help with that."]), COMPARE)
    assert found is not None
    assert found.second is GOOD


@pytest.mark.parametrize(
    "erased",
    [
        texts(None, RIGHT),
        texts(RIGHT, None),
        texts(RIGHT, WRONG, stage="deciding"),
        texts(None, RIGHT, kind="gold"),
    ],
)
def test_what_is_erased_says_nothing(erased: Texts) -> None:
    assert judge(erased, COMPARE) is None


def test_a_category_has_its_own_rule() -> None:
    assert settings_of(0.7) == Settings(threshold=0.7)
    assert settings_of(ComparisonRule(method="jaccard")) == Settings(method=Method.JACCARD)
    exact = settings_of(ComparisonRule(method="exact", threshold=None))
    found = judge(texts(RIGHT, RIGHT.lower()), partial(compare, settings=exact))
    assert found is not None
    assert found.asks_third
