"""A conversation of several turns, with workers that really do them."""

import asyncio

import httpx
import pytest

from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.market.answer_again import Repetition, answer_again, quote_again
from openclaw_jobs.market.change_conversation import choose_answer
from openclaw_jobs.market.open_accounts import create_funded_buyer
from openclaw_jobs.market.read_conversations import find_task, list_conversations, read_conversation
from openclaw_jobs.market.recover_leases import recover
from openclaw_jobs.market.send_message import quote_message
from tests.chat.steps import answers_of, say, talk, turns_of, work
from tests.market.steps import balance, claim, complete, fail, post
from tests.running import Node
from tests.web.people import browsing


async def test_a_worker_gets_the_whole_history(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    first = await say(node, buyer, "Name a river.")
    given = await work(worker, "The Rhine.")
    assert given["messages"] == [{"role": "user", "content": "Name a river."}]
    quote = await quote_message(
        node.market, buyer.id, first.conversation_id, "How long is it?", "general"
    )
    assert (quote.history, quote.left_out, quote.affordable) == (1, 0, True)
    before = await balance(buyer)
    second = await say(node, buyer, "How long is it?", first.conversation_id)
    assert await balance(buyer) == before - quote.price_cents
    given = await work(worker, "1,233 km.")
    assert given["messages"] == [
        {"role": "user", "content": "Name a river."},
        {"role": "assistant", "content": "The Rhine."},
        {"role": "user", "content": "How long is it?"},
    ]
    view = await read_conversation(node.market, buyer.id, first.conversation_id)
    assert view.conversation.title == "Name a river."
    assert [(t.seq, t.prompt, t.answers[0].result) for t in view.turns] == [
        (1, "Name a river.", "The Rhine."),
        (2, "How long is it?", "1,233 km."),
    ]
    task = await buyer.ok("GET", f"/api/task/{second.task_id}")
    assert task["price_cents"] == quote.price_cents
    assert await find_task(node.market, buyer.id, second.task_id) == [second]
    await node.prove()


async def test_a_message_is_sent_once_however_often_it_comes(node: Node) -> None:
    buyer = await node.buyer()
    before = await balance(buyer)
    sent = await asyncio.gather(*(say(node, buyer, "hello", key="k") for _ in range(8)))
    assert len(set(map(str, sent))) == 1
    price = before - await balance(buyer)
    assert len((await buyer.ok("GET", "/api/tasks"))["tasks"]) == 1
    assert price == (await buyer.ok("GET", "/api/tasks"))["tasks"][0]["price_cents"]
    # In words of its own it is another message, whatever page it comes from.
    other = await say(node, buyer, "hello again", key="k")
    assert other.conversation_id != sent[0].conversation_id
    await node.prove()


async def test_nobody_goes_on_before_the_answer_and_a_cancelled_turn_is_left_out(
    node: Node,
) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    where, _ = await talk(node, buyer, worker, ("one", "1"))
    second = await say(node, buyer, "two", where)
    with pytest.raises(Problem, match="wrong_state"):
        await say(node, buyer, "three", where)
    await buyer.ok("POST", f"/api/task/{second.task_id}/cancel")
    await say(node, buyer, "three", where)
    given = await work(worker, "3")
    assert [m["content"] for m in given["messages"]] == ["one", "1", "three"]


async def test_too_much_history_is_cut_and_said_so(node: Node) -> None:
    buyer, worker = await node.buyer(100_000), await node.worker()
    long = "x" * 50_000
    where, _ = await talk(node, buyer, worker, ("first", long), ("second", long), ("third", "ok"))
    quote = await quote_message(node.market, buyer.id, where, "y" * 40_000, "general")
    assert (quote.history, quote.left_out) == (2, 1)
    last = await say(node, buyer, "y" * 40_000, where)
    given = await work(worker, "done")
    assert [m["content"] for m in given["messages"]] == [
        "second",
        long,
        "third",
        "ok",
        "y" * 40_000,
    ]
    turn = (await turns_of(node, buyer, where))[-1]
    assert (turn.turn_id, turn.left_out) == (last.turn_id, 1)
    with pytest.raises(Problem, match="payload_too_large"):
        await say(node, buyer, "z" * 131_000, where)


async def test_the_chosen_answer_is_what_was_said(node: Node) -> None:
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    where, (sent,) = await talk(node, buyer, first, ("a poem", "roses are red"))
    await answer_again(
        node.market,
        Repetition(
            buyer_id=buyer.id, turn_id=sent.turn_id, another=True, max_price_cents=None, key="a"
        ),
    )
    await work(second, "violets are blue")
    poem = (await answers_of(node, buyer, sent.turn_id))[1]
    await choose_answer(node.market, buyer.id, sent.turn_id, poem.task_id)
    await say(node, buyer, "another line", where)
    given = await work(first, "sugar is sweet")
    assert [m["content"] for m in given["messages"]] == [
        "a poem",
        "violets are blue",
        "another line",
    ]


async def test_nothing_is_kept_of_a_message_that_was_refused(node: Node) -> None:
    poor = await node.buyer(1)
    for refused in (
        say(node, poor, "hello"),
        say(node, poor, "hello", max_price_cents=0),
        say(node, poor, " "),
    ):
        with pytest.raises(Problem):
            await refused
    assert (await list_conversations(node.market, poor.id, None, 10)).conversations == []
    quote = await quote_message(node.market, poor.id, None, "hello", "general")
    assert (quote.affordable, quote.balance_cents) == (False, 1)
    assert await balance(poor) == 1


async def heard(http: httpx.AsyncClient, after: int, end: str) -> list[str]:
    """The lines of a buyer's events up to the first that begins so."""
    lines: list[str] = []
    async with http.stream("GET", "/api/events", headers={"Last-Event-ID": str(after)}) as stream:
        async for line in stream.aiter_lines():
            lines.append(line)
            if line.startswith(end):
                break
    return lines


async def test_an_event_tells_the_other_browsers_and_them_alone(node: Node) -> None:
    email = "ann@example.com"
    buyer_id, key = await create_funded_buyer(node.market, email, 10_000, "test")
    buyer, worker = node.party(buyer_id, key.key), await node.worker()
    where, _ = await talk(node, buyer, worker, ("one", "1"))
    view = await read_conversation(node.market, buyer.id, where)
    async with browsing(node, email) as (other,):
        at_the_browser = asyncio.create_task(heard(other.http, view.event_seq, "event: task.comp"))
        sent = await say(node, buyer, "two", where)
        await work(worker, "2")
        lines = await at_the_browser
        # Who has both is believed to be what the key says.
        other.http.headers["Authorization"] = f"Bearer {buyer.token}"
        for http in (buyer.http, other.http):
            told = await heard(http, view.event_seq, "event: task.comp")
            assert "event: task.queued" in told
            assert "event: conversation" not in told
            assert not any(where in line for line in told)
    assert f"id: {view.event_seq + 1}" in lines
    assert "event: task.queued" in lines
    assert any(sent.task_id in line for line in lines)
    assert "event: conversation" in lines
    assert any(line.startswith("data:") and where in line for line in lines)


@pytest.mark.parametrize("ended", ["failed", "expired", "cancelled"])
async def test_what_came_to_nothing_is_tried_again(node: Node, ended: str) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    before = await balance(buyer)
    sent = await say(node, buyer, "try")
    if ended == "failed":
        await node.configure("dispatch", max_attempts=1)
        await fail(worker, await claim(worker))
    elif ended == "cancelled":
        await buyer.ok("POST", f"/api/task/{sent.task_id}/cancel")
    else:
        async with node.market.db.transaction() as conn:
            await conn.execute("UPDATE tasks SET expires_at = created_at")
        await recover(node.market)
    assert (await answers_of(node, buyer, sent.turn_id))[0].status == ended
    assert await balance(buyer) == before
    quote = await quote_again(node.market, buyer.id, sent.turn_id, another=False)
    wish = Repetition(
        buyer_id=buyer.id,
        turn_id=sent.turn_id,
        another=False,
        max_price_cents=quote.price_cents,
        key="again",
    )
    twice = await asyncio.gather(*(answer_again(node.market, wish) for _ in range(2)))
    assert twice[0] == twice[1]
    # The same worker may have it again.
    await work(worker, "done")
    assert [a.status for a in await answers_of(node, buyer, sent.turn_id)] == [ended, "completed"]
    assert await balance(buyer) == before - quote.price_cents
    await node.prove()


async def test_another_worker_answers_and_never_the_same(node: Node) -> None:
    buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
    _, (sent,) = await talk(node, buyer, first, ("a poem", "roses"))

    async def another(key: str) -> str:
        wish = Repetition(
            buyer_id=buyer.id, turn_id=sent.turn_id, another=True, max_price_cents=None, key=key
        )
        return (await answer_again(node.market, wish)).task_id

    await another("a")
    with pytest.raises(Problem, match="wrong_state"):
        await another("b")
    assert (await first.get("/api/work/next")).status_code == 204
    # An older task of the same words is no hindrance, and other work goes on.
    other = await post(buyer, "something else")
    assert (await claim(first))["task_id"] == other["id"]
    given = await claim(second)
    assert given["messages"] == [{"role": "user", "content": "a poem"}]
    await complete(second, given, "violets")
    await another("c")
    for worker in (first, second):
        assert (await worker.get("/api/work/next")).status_code == 204
    third = await node.worker()
    await work(third, "daisies")
    answers = await answers_of(node, buyer, sent.turn_id)
    assert [a.result for a in answers] == ["roses", "violets", "daisies"]
    await node.prove()
