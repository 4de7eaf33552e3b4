"""A buyer arranges its conversations: names, drafts, choices, forks, deletion. No money moves."""

from openclaw_jobs.chat import rules, service, store, store_turns
from openclaw_jobs.chat.models import Conversation, Draft
from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.kit.ids import is_id, new_id
from openclaw_jobs.market.account import refuse_deleted
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Unit, run


async def rename_conversation(
    market: Market, buyer_id: str, conversation_id: str, title: str
) -> str:
    """Give a conversation another title; returns it as it is kept.

    Raises:
        Problem: `not_found`, or `validation_failed` for a title that is empty or too long.
    """
    kept = rules.checked_title(title)

    async def effect(unit: Unit) -> str:
        if not is_id("cnv", conversation_id) or not await store.set_title(
            unit.conn, buyer_id, conversation_id, kept
        ):
            raise not_found("conversation")
        unit.tell(buyer_id, "conversation", None, conversation_id=conversation_id)
        return kept

    return await run(market, effect, None)


async def delete_conversation(market: Market, buyer_id: str, conversation_id: str) -> None:
    """Delete a conversation with all that was said in it. Its tasks stay in the list of tasks.

    Raises:
        Problem: `not_found`.
    """

    async def effect(unit: Unit) -> None:
        await store.wait_for_chat(unit.conn, buyer_id)
        if not is_id("cnv", conversation_id) or not await store.delete_conversation(
            unit.conn, buyer_id, conversation_id, unit.now
        ):
            raise not_found("conversation")
        unit.tell(buyer_id, "conversation", None, conversation_id=conversation_id, deleted=True)

    await run(market, effect, None)


async def keep_draft(
    market: Market, buyer_id: str, conversation_id: str | None, draft: Draft
) -> None:
    """Keep what is being written, so that it is there on another device; an empty one goes away.

    Args:
        market: The parts.
        buyer_id: Who writes.
        conversation_id: Where; None is the conversation that has not begun.
        draft: What.

    Raises:
        Problem: `not_found`; `payload_too_large`: it could not be sent either.
    """
    rules.checked_text("text", draft.text)
    limit = market.config.payload_limits.task_input
    if len(draft.text.encode()) > limit:
        raise Problem("payload_too_large", "This is too long to be sent.", limit_bytes=limit)

    async def effect(unit: Unit) -> None:
        if conversation_id is not None:
            await service.find(unit.conn, buyer_id, conversation_id)
        where = conversation_id or ""
        if draft.text.strip():
            await refuse_deleted(unit, buyer_id)
            await store.upsert_draft(unit.conn, buyer_id, where, draft, unit.now)
        else:
            await store.delete_draft(unit.conn, buyer_id, where)

    await run(market, effect, None)


async def choose_answer(market: Market, buyer_id: str, turn_id: str, task_id: str) -> None:
    """Have one of a turn's answers stand for it in what follows.

    Raises:
        Problem: `not_found`, or `wrong_state` for a task without a result.
    """

    async def effect(unit: Unit) -> None:
        turn = await store_turns.select_turn(unit.conn, buyer_id, turn_id)
        if turn is None:
            raise not_found("message")
        answer = next((a for a in turn.answers if a.task_id == task_id), None)
        if answer is None:
            raise not_found("answer")
        if answer.result is None:
            raise Problem("wrong_state", "This answer has no result to go on from.")
        await store_turns.set_chosen(unit.conn, turn_id, task_id)
        unit.tell(
            buyer_id,
            "conversation",
            None,
            conversation_id=turn.conversation_id,
            turn_id=turn_id,
        )

    await run(market, effect, None)


async def fork_conversation(
    market: Market, buyer_id: str, turn_id: str, *, again: bool
) -> Conversation:
    """Begin a conversation with what was said in another up to a turn.

    Args:
        market: The parts.
        buyer_id: Who forks.
        turn_id: The last turn that is copied; with `again`, the first that is not.
        again: Have that turn's message as the draft, to say it in other words.

    Raises:
        Problem: `not_found`, or `wrong_state` for a turn that has no answer to go on from.
    """

    async def effect(unit: Unit) -> Conversation:
        conn = unit.conn
        await store.wait_for_chat(conn, buyer_id)
        turn = await store_turns.select_turn(conn, buyer_id, turn_id)
        if turn is None:
            raise not_found("message")
        if not again and rules.chosen(turn.answers, turn.chosen_task_id) is None:
            raise Problem("wrong_state", "This message has no answer yet to go on from.")
        origin = await service.find(conn, buyer_id, turn.conversation_id)
        title = origin.title[: rules.MAX_TITLE_CHARS - len(_FORKED)] + _FORKED
        fork = Conversation(
            new_id("cnv"), title, origin.category, origin.conversation_id, unit.now, unit.now
        )
        await store.insert_conversation(conn, buyer_id, fork)
        outline = await store_turns.select_outline(conn, origin.conversation_id)
        until = turn.seq if again else turn.seq + 1
        kept = [
            one.turn_id
            for one in outline
            if one.seq < until and rules.chosen(one.answers, one.chosen_task_id) is not None
        ]
        copies = [(one, new_id("turn"), seq) for seq, one in enumerate(kept, 1)]
        await store_turns.copy_turns(conn, origin.conversation_id, fork.conversation_id, copies)
        if again:
            draft = Draft(turn.prompt, turn.answers[0].category)
            await store.upsert_draft(conn, buyer_id, fork.conversation_id, draft, unit.now)
        unit.tell(buyer_id, "conversation", None, conversation_id=fork.conversation_id)
        return fork

    return await run(market, effect, None)


_FORKED = " (fork)"
