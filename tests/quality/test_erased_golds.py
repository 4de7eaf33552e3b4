"""Gold tasks of buyers who take their texts back: nobody is judged by what is left of them."""

import pytest

from openclaw_jobs.market.account import delete_account, set_shares_texts
from tests.market.steps import claim, complete
from tests.quality.check_steps import (
    OTHER,
    RIGHT,
    Disputed,
    checks,
    dispute,
    do_next,
    quality,
    record_of,
    rows,
    settle,
)
from tests.running import Node


async def withdraw_consent(node: Node, buyer_id: str) -> None:
    [(user_id,)] = await rows(node, "SELECT user_id FROM buyers WHERE id = %s", buyer_id)
    await set_shares_texts(node.market, str(user_id), buyer_id, shares=False)


async def delete(node: Node, buyer_id: str) -> None:
    [(user_id, email)] = await rows(
        node, "SELECT u.id, u.email FROM users u JOIN buyers b ON b.user_id = u.id"
        " WHERE b.id = %s", buyer_id)  # fmt: skip
    await delete_account(node.market, str(user_id), buyer_id, str(email))


ENDS = [withdraw_consent, delete]


async def minted(node: Node) -> Disputed:
    """A task that was arbitrated and became a gold task."""
    disputed = await dispute(node)
    await rows(node, "UPDATE buyers SET shares_texts = true WHERE id = %s", disputed.buyer.id)
    await do_next(disputed.third, RIGHT.lower())
    await settle(node)
    await quality(node, benchmark_rate=1)
    return disputed


async def inject(node: Node) -> None:
    done = await node.operator().ok("POST", "/api/cron/benchmark-inject")
    assert done == {"injected": 1, "refused": 0}


@pytest.mark.parametrize("end", ENDS)
async def test_nobody_is_blamed_for_the_answer_to_an_erased_text(node: Node, end: object) -> None:
    assert callable(end)
    disputed = await minted(node)
    worker, late = await node.worker(), await node.worker()
    await inject(node)
    await quality(node, benchmark_rate=1, check_delay_seconds=600)
    await do_next(worker, RIGHT)
    await quality(node, benchmark_rate=1)
    await inject(node)
    claimed = await claim(late)
    assert [stage for _, stage, *_ in await checks(node)][1:] == ["comparing", "copying"]

    await end(node, disputed.buyer.id)
    await complete(late, claimed, RIGHT)
    await rows(node, "UPDATE checks SET due_at = now()")
    await settle(node)

    assert (await checks(node))[1:] == [("gold", "void", None, None)] * 2
    assert await rows(
        node, "SELECT reason, reserved_cents FROM checks WHERE kind = 'gold'"
    ) == [("a text was erased", 0)] * 2  # fmt: skip
    for honest in (worker, late):
        assert await record_of(node, honest) == (0, 0, 0)
        me = await honest.ok("GET", "/api/worker/me")
        assert (me["stats"]["credited"], me["balance"]["lifetime_cents"] > 0) == (0, True)
    await node.prove()


async def test_what_is_left_of_an_erased_text_is_no_answer(node: Node) -> None:
    await minted(node)
    worker = await node.worker()
    await inject(node)
    await rows(
        node, "UPDATE golds SET prompt = '-', answers = '{-}', erased_at = now(),"
        " retired_at = now()")  # fmt: skip
    await do_next(worker, OTHER)
    await settle(node)
    assert (await checks(node))[1:] == [("gold", "void", None, None)]
    assert await record_of(node, worker) == (0, 0, 0)
    await node.prove()
