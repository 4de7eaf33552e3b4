"""A process that dies at any line of a payout: afterwards the worker has its money once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from openclaw_jobs.market.decide_payout import Providers
from openclaw_jobs.market.work_payouts import (
    check,
    prepare,
    record_outcome,
    send,
    start,
    take_due,
    work_payouts,
)
from openclaw_jobs.payments.payouts import Attempt, DuePayout
from openclaw_jobs.payments.providers import Failed, Paid
from tests.market.steps import sql
from tests.payments.payout_steps import (
    DiedError,
    ScriptedRail,
    approve,
    attach,
    available,
    die,
    make_due,
    rich_worker,
    state,
    time_out,
    unavailable,
    withdraw,
    work,
)
from tests.running import Node

STEPS = ("take", "start", "prepare", "send", "record")
"""A turn's steps; a process that did the first n of them is gone."""


async def do_steps(node: Node, rail: ScriptedRail, count: int) -> None:
    """Do the first `count` steps of a payout's first turn, as `work_payout` does them."""
    market, providers = node.market, node.services.providers
    due = await _only_one(node, providers)
    if count < 2:
        return
    attempt: Attempt | None = await start(market, due.payout.payout_id, "paypal")
    assert attempt is not None
    if count < 3:
        return
    attempt = await prepare(market, rail, due.payout, attempt, 0)
    assert attempt is not None
    if count < 4:
        return
    outcome = await send(rail, due.payout, attempt)
    if count == 5:
        await record_outcome(market, due.payout.payout_id, 1, outcome, 0)


async def _only_one(node: Node, providers: Providers) -> DuePayout:
    await make_due(node)
    due = await take_due(node.market, providers)
    assert len(due) == 1
    # It is taken: nobody else finds it now.
    assert await take_due(node.market, providers) == []
    return due[0]


@pytest.mark.parametrize("count", range(1, len(STEPS) + 1), ids=STEPS)
async def test_a_process_dies_after_a_step(node: Node, count: int) -> None:
    rail = ScriptedRail()
    attach(node, rail)
    worker = await rich_worker(node)
    payout = await withdraw(worker, 700)
    await approve(node, payout)
    await do_steps(node, rail, count)
    await node.prove()
    assert await available(worker) == 300
    # The next process finds it when it is no longer taken.
    await work(node, 3)
    assert await state(node, payout) == "paid"
    assert rail.paid == {f"{payout}-1": 700}
    await node.prove()


@pytest.mark.parametrize("done", range(3), ids=STEPS[:3])
async def test_the_slow_process_goes_on_after_another_took_over(node: Node, done: int) -> None:
    """It was thought dead, and does the rest of its turn when the payout has long been paid."""
    rail = ScriptedRail()
    attach(node, rail)
    market, providers = node.market, node.services.providers
    worker = await rich_worker(node)
    payout = await withdraw(worker, 700)
    await approve(node, payout)

    due = await _only_one(node, providers)
    kept: list[Attempt | None] = [None]

    async def slow_start() -> None:
        kept.append(await start(market, payout, "paypal"))

    async def slow_prepare() -> None:
        if kept[-1] is not None:
            kept.append(await prepare(market, rail, due.payout, kept[-1], 0))

    async def slow_send() -> None:
        if kept[-1] is not None:
            outcome = await send(rail, due.payout, kept[-1])
            await record_outcome(market, payout, 1, outcome, 0)

    turn: list[Callable[[], Awaitable[None]]] = [slow_start, slow_prepare, slow_send]
    for step in turn[:done]:
        await step()
    await work(node, 3)
    assert await state(node, payout) == "paid"
    for step in turn[done:]:
        await step()
    late = await record_outcome(market, payout, 1, Paid("again", 3), 0)
    assert late is not None
    assert await state(node, payout) == "paid"
    assert rail.paid == {f"{payout}-1": 700}
    await node.prove()


@pytest.mark.parametrize("where", ["prepare", "before_send", "after_send", "check"])
async def test_a_process_dies_within_a_call(node: Node, where: str) -> None:
    rail = ScriptedRail()
    attach(node, rail)
    worker = await rich_worker(node)
    payout = await withdraw(worker, 700)
    await approve(node, payout)
    if where == "check":
        await work(node)
    script = {"prepare": rail.on_prepare, "check": rail.on_check}.get(where, rail.on_send)
    script.append(die)  # type: ignore[attr-defined]
    if where == "before_send":
        rail.lost.add(f"{payout}-1")
    with pytest.raises(DiedError):
        await work(node)
    rail.lost.clear()
    await node.prove()
    await work(node, 3)
    assert await state(node, payout) == "paid"
    assert rail.paid == {f"{payout}-1": 700}
    await node.prove()


async def test_a_rail_that_is_down_loses_nothing(node: Node) -> None:
    rail = ScriptedRail()
    attach(node, rail)
    worker = await rich_worker(node)
    payouts = [await withdraw(worker, 100) for _ in range(3)]
    for payout in payouts:
        await approve(node, payout)

    def broken() -> None:
        message = "a bug of the provider's"
        raise ZeroDivisionError(message)

    rail.on_prepare.extend([unavailable, time_out, broken])
    await work(node)
    assert [await state(node, p) for p in payouts] == ["submitting"] * 3
    assert rail.calls["send"] == 0
    listed = (await node.operator().ok("GET", "/api/admin/payouts"))["payouts"]
    assert sorted(p["error"].partition(":")[0] for p in listed) == [
        "ProviderUnavailable",
        "TimeoutError",
        "ZeroDivisionError",
    ]
    # None is due again at once.
    await work_payouts(node.market, node.services.providers)
    assert rail.calls["send"] == 0
    rail.on_send.append(broken)
    await work(node, 3)
    assert [await state(node, p) for p in payouts] == ["paid"] * 3
    assert rail.total_cents == 300
    await node.prove()


async def test_a_dead_payout_does_not_keep_the_others(node: Node) -> None:
    rail = ScriptedRail()
    attach(node, rail)
    worker = await rich_worker(node)
    payouts = [await withdraw(worker, 100) for _ in range(5)]
    for payout in payouts:
        await approve(node, payout)
    rail.on_send.append(die)
    with pytest.raises(DiedError):
        await work(node)
    states = [await state(node, p) for p in payouts]
    assert sorted(states) == ["submitted"] * 4 + ["submitting"]
    await work(node, 3)
    assert [await state(node, p) for p in payouts] == ["paid"] * 5
    await node.prove()


async def test_what_contradicts_the_books_changes_nothing(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    rail = ScriptedRail()
    attach(node, rail)
    worker = await rich_worker(node)
    payout = await withdraw(worker, 700)
    await approve(node, payout)
    rail.on_send.append(Failed("no"))
    await work(node)
    # The rail says now that it did pay; the money is the worker's already.
    await record_outcome(node.market, payout, 1, Paid("after all", 0), 0)
    assert await state(node, payout) == "failed"
    assert "payout_contradicted" in capsys.readouterr().out
    await node.operator().ok("POST", f"/api/admin/payouts/{payout}/retry", {})
    rail.paid.clear()
    await work(node, 2)
    await record_outcome(node.market, payout, 1, Failed("of the first attempt"), 0)
    await record_outcome(node.market, payout, 2, Failed("late"), 0)
    assert await state(node, payout) == "paid"
    assert rail.paid == {f"{payout}-2": 700}
    await node.prove()


async def test_the_database_holds_the_machine(node: Node) -> None:
    """No second attempt while the first may land, whatever the program does."""
    rail = ScriptedRail()
    attach(node, rail)
    worker = await rich_worker(node)
    payout = await withdraw(worker, 700)
    await approve(node, payout)
    await work(node)
    with pytest.raises(Exception, match="one_live_attempt"):
        await sql(
            node,
            "INSERT INTO payout_attempts (payout_id, attempt, provider, key)"
            " VALUES (%s, 2, 'paypal', 'second')",
            payout,
        )
    for status in ("pending", "paid", "failed"):
        with pytest.raises(Exception, match="check constraint"):
            await sql(node, "UPDATE payouts SET status = %s", status)
    await node.prove()


async def test_outcomes_and_decisions_race(node: Node) -> None:
    rail = ScriptedRail()
    attach(node, rail)
    worker = await rich_worker(node, 2)
    payouts = [await withdraw(worker, 100) for _ in range(10)]
    for payout in payouts:
        await approve(node, payout)
    await work(node)
    outcomes = (Paid("r", 1), Failed("f"), Paid("r", 1), Failed("f"))
    async with asyncio.timeout(30):
        await asyncio.gather(
            *(
                record_outcome(node.market, payout, 1, outcome, 0)
                for payout in payouts
                for outcome in outcomes
            )
        )
    states = [await state(node, p) for p in payouts]
    assert set(states) <= {"paid", "failed"}
    assert await available(worker) == 1_000 + 100 * states.count("failed")
    await node.prove()


async def test_asking_has_its_time_limit(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_jobs.market.work_payouts.CALL_TIMEOUT_S", 0.05)
    rail = ScriptedRail()
    attach(node, rail)
    worker = await rich_worker(node)
    payout = await withdraw(worker, 700)
    await approve(node, payout)
    rail.delay_s = 30.0
    await work(node)
    assert await state(node, payout) == "unknown"
    rail.delay_s = 0
    due = await _only_one(node, node.services.providers)
    assert due.attempt is not None
    assert type(await check(rail, due.payout, due.attempt)).__name__ == "Unknown"
    await work(node, 3)
    assert await state(node, payout) == "paid"
    await node.prove()


async def test_what_was_prepared_first_is_what_is_sent(node: Node) -> None:
    """Two processes prepare one attempt: two sets of signed bytes, of which one is ever sent."""
    rail = ScriptedRail()
    attach(node, rail)
    worker = await rich_worker(node)
    payout = await withdraw(worker, 700)
    await approve(node, payout)
    due = await _only_one(node, node.services.providers)
    attempt = await start(node.market, payout, "paypal")
    assert attempt is not None
    first = await prepare(node.market, rail, due.payout, attempt, 0)
    second = await prepare(node.market, rail, due.payout, attempt, 0)
    assert first is not None
    assert second is not None
    assert rail.calls["prepare"] == 2
    assert first.signed == second.signed == f"{payout}-1 #1".encode()
    for each in (second, first):
        outcome = await send(rail, due.payout, each)
        await record_outcome(node.market, payout, 1, outcome, 0)
    await work(node, 2)
    assert rail.paid == {f"{payout}-1": 700}
    await node.prove()


async def test_news_of_an_earlier_attempt_does_not_touch_the_next(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    rail = ScriptedRail()
    attach(node, rail)
    worker = await rich_worker(node)
    payout = await withdraw(worker, 700)
    await approve(node, payout)
    rail.on_send.append(Failed("no"))
    rail.lost.add(f"{payout}-1")
    await work(node)
    await node.operator().ok("POST", f"/api/admin/payouts/{payout}/retry", {})
    await work(node)
    await record_outcome(node.market, payout, 1, Failed("once more"), 0)
    assert "payout_contradicted" not in capsys.readouterr().out
    await record_outcome(node.market, payout, 1, Paid("the first, after all", 9), 0)
    assert "payout_contradicted" in capsys.readouterr().out
    assert await state(node, payout) == "submitted"
    await node.prove()
    await work(node)
    assert await state(node, payout) == "paid"
    assert rail.paid == {f"{payout}-2": 700}
    await node.prove()
