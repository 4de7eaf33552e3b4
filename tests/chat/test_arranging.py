"""Names, drafts, forks, search, deletion, export, shared results; and whose they are."""

import pytest

from openclaw_jobs.chat import store_shares
from openclaw_jobs.chat.models import Draft
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.market.answer_again import Repetition, answer_again, quote_again
from openclaw_jobs.market.change_conversation import (
    choose_answer,
    delete_conversation,
    fork_conversation,
    keep_draft,
    rename_conversation,
)
from openclaw_jobs.market.read_conversations import (
    PAGE_TURNS,
    find_task,
    list_conversations,
    open_export,
    read_conversation,
    read_start,
    read_turn,
    read_turns_after,
    search_conversations,
)
from openclaw_jobs.market.send_message import quote_message
from openclaw_jobs.market.share_result import read_shared, revoke_shares, share_result
from tests.chat.steps import say, talk, turns_of, work
from tests.running import Node


async def test_a_draft_waits_on_the_server_until_it_is_sent(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    market = node.market
    await keep_draft(market, buyer.id, None, Draft("to be", "writing"))
    await keep_draft(market, buyer.id, None, Draft("to be or not", "writing"))
    draft, _ = await read_start(market, buyer.id)
    assert draft == Draft("to be or not", "writing")
    where, _ = await talk(node, buyer, worker, ("to be or not", "that is the question"))
    assert (await read_start(market, buyer.id))[0] is None
    await keep_draft(market, buyer.id, where, Draft("whether", "general"))
    assert (await read_conversation(market, buyer.id, where)).draft == Draft("whether", "general")
    await keep_draft(market, buyer.id, where, Draft(" ", "general"))
    assert (await read_conversation(market, buyer.id, where)).draft is None
    for text in ("\x00", "x" * 131_073):
        with pytest.raises(Problem):
            await keep_draft(market, buyer.id, where, Draft(text, "general"))


async def test_the_last_used_conversation_comes_first(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    ids = [(await talk(node, buyer, worker, (name, name)))[0] for name in "abc"]
    await say(node, buyer, "again", ids[0])
    page = await list_conversations(node.market, buyer.id, None, 2)
    assert [c.title for c in page.conversations] == ["a", "c"]
    page = await list_conversations(node.market, buyer.id, page.resume_after, 2)
    assert [c.title for c in page.conversations] == ["b"]
    assert page.resume_after is None
    assert await rename_conversation(node.market, buyer.id, ids[1], " B ") == "B"
    page = await list_conversations(node.market, buyer.id, None, 9)
    assert [c.title for c in page.conversations] == ["a", "c", "B"]


async def test_a_fork_goes_its_own_way(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    where, sent = await talk(node, buyer, worker, ("one", "1"), ("two", "2"), ("three", "3"))
    fork = await fork_conversation(node.market, buyer.id, sent[1].turn_id, again=False)
    assert (fork.title, fork.forked_from) == ("one (fork)", where)
    await say(node, buyer, "four", fork.conversation_id)
    given = await work(worker, "4")
    assert [m["content"] for m in given["messages"]] == ["one", "1", "two", "2", "four"]
    assert [t.prompt for t in await turns_of(node, buyer, where)] == ["one", "two", "three"]
    # To say the second message in other words.
    other = await fork_conversation(node.market, buyer.id, sent[1].turn_id, again=True)
    view = await read_conversation(node.market, buyer.id, other.conversation_id)
    assert [t.prompt for t in view.turns] == ["one"]
    assert view.draft == Draft("two", "general")
    places = await find_task(node.market, buyer.id, sent[0].task_id)
    assert {p.conversation_id for p in places} == {
        where,
        fork.conversation_id,
        other.conversation_id,
    }


async def test_words_are_found_in_titles_prompts_and_results(node: Node) -> None:
    buyer, other, worker = await node.buyer(), await node.buyer(), await node.worker()
    titled, _ = await talk(node, buyer, worker, ("A walrus", "is big"))
    asked, _ = await talk(node, buyer, worker, ("What is big?", "A whale"), ("and WALRUSES?", "no"))
    told, _ = await talk(node, buyer, worker, ("An animal", "The old walrus sleeps, it's late"))
    await talk(node, other, worker, ("walrus", "walrus"))
    hits = await search_conversations(node.market, buyer.id, "Walrus")
    assert [(h.conversation_id, h.kind, h.seq, h.match) for h in hits] == [
        (told, "result", 1, "walrus"),
        (asked, "prompt", 2, "WALRUSES"),
        (titled, "title", None, "walrus"),
    ]
    assert (hits[0].before, hits[0].after) == ("The old ", " sleeps, it's late")
    found = await search_conversations(node.market, buyer.id, "sleeps walr")
    assert [h.conversation_id for h in found] == [told]
    for nothing in ("", "'; DROP TABLE turns", "whale walrus", "!!!"):
        assert await search_conversations(node.market, buyer.id, nothing) == []


async def test_what_is_deleted_is_gone_and_its_links_with_it(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    where, sent = await talk(node, buyer, worker, ("secret", "kept once"), ("again", "kept twice"))
    await keep_draft(node.market, buyer.id, where, Draft("more", "general"))
    links = [await share_result(node.market, buyer.id, one.task_id) for one in sent]
    fork = await fork_conversation(node.market, buyer.id, sent[0].turn_id, again=False)
    await delete_conversation(node.market, buyer.id, where)
    with pytest.raises(Problem, match="not_found"):
        await read_conversation(node.market, buyer.id, where)
    with pytest.raises(Problem, match="not_found"):
        await say(node, buyer, "more", where)
    # The fork has the first result still.
    assert (await read_shared(node.market, links[0].token)).result == "kept once"
    with pytest.raises(Problem, match="not_found"):
        await read_shared(node.market, links[1].token)
    assert len(await turns_of(node, buyer, fork.conversation_id)) == 1
    hits = await search_conversations(node.market, buyer.id, "secret")
    assert [h.conversation_id for h in hits] == [fork.conversation_id]
    async with node.market.db.transaction() as conn:
        await store_shares.erase(conn, buyer.id, node.market.clock.now())
        cursor = await conn.execute(
            "SELECT (SELECT count(*) FROM turns), (SELECT count(*) FROM turn_tasks),"
            " (SELECT count(*) FROM drafts)"
        )
        assert await cursor.fetchone() == (0, 0, 0)
    assert (await list_conversations(node.market, buyer.id, None, 9)).conversations == []
    with pytest.raises(Problem, match="not_found"):
        await read_shared(node.market, links[0].token)


async def test_a_link_shows_one_result_until_it_is_taken_back(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    _, (sent,) = await talk(node, buyer, worker, ("my private question", "an answer"))
    first = await share_result(node.market, buyer.id, sent.task_id)
    second = await share_result(node.market, buyer.id, sent.task_id)
    assert first.token != second.token
    assert len(first.token) >= 43
    shared = await read_shared(node.market, second.token)
    assert (shared.result, shared.category) == ("an answer", "general")
    assert "private" not in repr(shared)
    assert (await read_turn(node.market, buyer.id, sent.turn_id)).answers[0].shared
    async with node.market.db.read() as conn:
        cursor = await conn.execute("SELECT row_to_json(shares)::text FROM shares")
        assert not any(first.token in row[0] for row in await cursor.fetchall())
    assert await revoke_shares(node.market, buyer.id, sent.task_id) == 2
    for token in (first.token, second.token, "", "x", "é" * 40, "x" * 999):
        with pytest.raises(Problem, match="not_found"):
            await read_shared(node.market, token)
    waiting = await say(node, buyer, "no result")
    with pytest.raises(Problem, match="wrong_state"):
        await share_result(node.market, buyer.id, waiting.task_id)


async def test_a_long_conversation_is_read_in_parts(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    where, _ = await talk(node, buyer, worker, ("first", "1"))
    async with node.market.db.transaction() as conn:
        await conn.execute(
            """
            INSERT INTO turns (id, conversation_id, seq, prompt, words)
            SELECT 'turn' || n, %s, n, 'p' || n, '' FROM generate_series(2, 120) n
            """,
            (where,),
        )
        await conn.execute(
            """
            INSERT INTO turn_tasks (turn_id, task_id, seq)
            SELECT 'turn' || n, (SELECT task_id FROM turn_tasks LIMIT 1), 1
            FROM generate_series(2, 120) n
            """
        )
    view = await read_conversation(node.market, buyer.id, where)
    assert [view.turns[0].seq, view.turns[-1].seq, view.earlier] == [71, 120, True]
    view = await read_conversation(node.market, buyer.id, where, before=71)
    assert [view.turns[0].seq, view.turns[-1].seq, view.earlier] == [21, 70, True]
    view = await read_conversation(node.market, buyer.id, where, before=21)
    assert [view.turns[0].seq, view.turns[-1].seq, view.earlier] == [1, 20, False]
    after = await read_turns_after(node.market, buyer.id, where, 110)
    assert [t.seq for t in after] == list(range(111, 121))
    assert len(after) < PAGE_TURNS
    _, turns = await open_export(node.market, buyer.id, where)
    assert [turn.seq async for turn in turns] == list(range(1, 121))


async def test_another_buyers_ids_lead_nowhere(node: Node) -> None:
    owner, thief, worker = await node.buyer(), await node.buyer(), await node.worker()
    where, (sent,) = await talk(node, owner, worker, ("mine", "my answer"))
    market, me = node.market, thief.id
    wish = Repetition(
        buyer_id=me, turn_id=sent.turn_id, another=True, max_price_cents=None, key="k"
    )
    for place in (where, new_id("cnv"), "cnv_x", "'", ""):
        attempts = [
            read_conversation(market, me, place),
            read_turns_after(market, me, place, 0),
            rename_conversation(market, me, place, "stolen"),
            delete_conversation(market, me, place),
            keep_draft(market, me, place, Draft("x", "general")),
            quote_message(market, me, place, "x", "general"),
            say(node, thief, "x", place),
            open_export(market, me, place),
        ]
        for attempt in attempts:
            with pytest.raises(Problem, match="not_found"):
                await attempt
    for attempt in (
        read_turn(market, me, sent.turn_id),
        choose_answer(market, me, sent.turn_id, sent.task_id),
        fork_conversation(market, me, sent.turn_id, again=False),
        fork_conversation(market, me, sent.turn_id, again=True),
        answer_again(market, wish),
        quote_again(market, me, sent.turn_id, another=True),
        share_result(market, me, sent.task_id),
        revoke_shares(market, me, sent.task_id),
        choose_answer(market, owner.id, sent.turn_id, new_id("task")),
    ):
        with pytest.raises(Problem, match="not_found"):
            await attempt
    assert await find_task(market, me, sent.task_id) == []
    assert await search_conversations(market, me, "mine") == []
    assert (await read_conversation(market, owner.id, where)).conversation.title == "mine"
