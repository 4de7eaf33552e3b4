"""Workers who are wrong in the same way are counted, and flagged where it can't be chance."""

import asyncio
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs.market.judge_checks import judge_checks
from openclaw_jobs.quality.pairs import PAIR_LIMIT, Counts, base_rate, chance_of, is_suspicious
from tests.market.steps import refused
from tests.quality.check_steps import add_gold, answer_gold, quality, rows, settle
from tests.running import Json, Node


def test_the_tail_of_the_binomial() -> None:
    assert chance_of(Counts(7, 7), 1 / 3) == pytest.approx(3**-7)
    assert chance_of(Counts(5, 0), 0.2) == pytest.approx(1)
    by_hand = sum(comb(6, k) * 0.25**k * 0.75 ** (6 - k) for k in (4, 5, 6))
    assert chance_of(Counts(6, 4), 0.25) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("pair", "others", "flagged"),
    [
        ((6, 6), (0, 0), False),
        ((7, 7), (0, 0), True),
        ((2, 2), (200, 10), False),
        ((3, 3), (200, 10), True),
        ((20, 2), (200, 10), False),
        # Everybody runs one model: then agreement says nothing.
        ((7, 7), (200, 120), False),
        ((30, 0), (10_000, 0), False),
    ],
)
def test_what_is_flagged(pair: tuple[int, int], others: tuple[int, int], *, flagged: bool) -> None:
    assert is_suspicious(Counts(*pair), Counts(*others)) is flagged


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 10_000), st.integers(0, 10_000))
def test_more_agreement_is_never_less_suspicious(a: int, b: int, c: int, d: int) -> None:
    same, both = sorted((a, b))
    base = base_rate(Counts(max(c, d), min(c, d)))
    assert 0 < base < 1
    chance = chance_of(Counts(both, same), base)
    assert 0 <= chance <= 1 + 1e-9
    assert chance_of(Counts(both + 1, same + 1), base) <= chance + 1e-9
    assert chance > PAIR_LIMIT or is_suspicious(Counts(both, same), Counts(max(c, d), min(c, d)))


async def pairs(node: Node, *, flagged: bool = False) -> list[Json]:
    path = f"/api/admin/pairs?flagged={str(flagged).lower()}"
    found: list[Json] = (await node.operator().ok("GET", path))["pairs"]
    return found


async def test_a_pair_that_errs_alike_is_flagged_and_others_are_not(node: Node) -> None:
    await quality(node, benchmark_rate=1)
    one, same, other, silent = [await node.worker() for _ in range(4)]
    for number in range(7):
        await add_gold(node, number)
        # The same in another form, and another mistake each time.
        await answer_gold(node, one, "{}")
        await answer_gold(node, same, "The total is {}.")
        await answer_gold(node, other, f"{number + 900_000}")
        await answer_gold(node, silent, "")
        await settle(node)
        assert len(await pairs(node, flagged=True)) == (number >= 4)

    (found,) = await pairs(node, flagged=True)
    first, second = sorted((one, same), key=lambda worker: worker.id)
    assert (found["first"]["worker_id"], found["second"]["worker_id"]) == (first.id, second.id)
    assert (found["both_bad"], found["same_bad"]) == (7, 7)
    assert found["chance"] < PAIR_LIMIT
    assert found["flagged_at"] is not None
    mistakes = found["mistakes"]
    assert len({mistake["gold_id"] for mistake in mistakes}) == 7
    said = {mistakes[0]["first_result"], mistakes[0]["second_result"]}
    assert any(text.startswith("The total is") for text in said)
    check = await node.operator().ok("GET", f"/api/admin/quality/{mistakes[0]['first_check_id']}")
    assert check["second"]["worker_id"] == first.id
    counted = await pairs(node)
    assert len(counted) == 3, "who answers nothing is in no pair"
    assert {(p["both_bad"], p["same_bad"]) for p in counted} == {(7, 7), (7, 0)}
    page = await node.operator().ok("GET", "/api/admin/pairs?flagged=false&limit=2")
    rest = await node.operator().ok(
        "GET", f"/api/admin/pairs?flagged=false&cursor={page['next_cursor']}"
    )
    assert page["pairs"] + rest["pairs"] == counted
    assert rest["next_cursor"] is None
    refused(await node.operator().get("/api/admin/pairs", cursor="x"), 422, "validation_failed")
    await node.prove()


async def test_an_overruled_mistake_is_no_evidence(node: Node) -> None:
    await quality(node, benchmark_rate=1)
    await add_gold(node)
    workers = [await node.worker() for _ in range(2)]
    for worker in workers:
        await answer_gold(node, worker, "{}")
        await settle(node)
    (found,) = await pairs(node)
    assert len(found["mistakes"]) == 1
    path = f"/api/admin/quality/{found['mistakes'][0]['first_check_id']}/verdict"
    await node.operator().ok("POST", path, {"second": "good"})
    assert (await pairs(node))[0]["mistakes"] == []


async def test_two_verdicts_at_once_count_the_pair_once(node: Node) -> None:
    await quality(node, benchmark_rate=1)
    await add_gold(node)
    for worker in [await node.worker() for _ in range(4)]:
        await answer_gold(node, worker, "{}")
    await asyncio.gather(*(judge_checks(node.market) for _ in range(3)))
    counted = await rows(node, "SELECT both_bad, same_bad FROM pair_agreements")
    assert counted == [(1, 1)] * 6
    await node.prove()
