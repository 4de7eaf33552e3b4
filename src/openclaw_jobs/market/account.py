"""An account as its owner rules over it: what it shares, what it takes away, and its end."""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from openclaw_jobs import audit, buyers, ledger
from openclaw_jobs.buyers import store_marks as buyer_marks
from openclaw_jobs.chat import store_shares as chat
from openclaw_jobs.chat.store import wait_for_chat
from openclaw_jobs.identity import sessions, users
from openclaw_jobs.kit.errors import Problem, invalid, not_found
from openclaw_jobs.kit.timefmt import rfc3339
from openclaw_jobs.market import store, store_people, store_retention
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.read_tasks import get_balance
from openclaw_jobs.market.unit import Unit, begin
from openclaw_jobs.payments.deposits import store as deposits

__all__ = [
    "delete_account",
    "erase_deleted",
    "open_account_export",
    "refuse_deleted",
    "set_shares_texts",
    "shares_texts",
    "tend_accounts",
]

_PAGE: Final = 100
_BATCH: Final = 500
_USERS_AT_ONCE: Final = 20
_PAYABLE_S: Final = 25 * 3600
"""Checkout lets a session be paid for a day; an hour more, for clocks that differ."""


async def shares_texts(market: Market, buyer_id: str) -> bool:
    """Whether a buyer lets good tasks become tests of other workers."""
    async with market.db.read() as conn:
        return await store_people.select_shares_texts(conn, buyer_id)


async def set_shares_texts(market: Market, user_id: str, buyer_id: str, *, shares: bool) -> None:
    """Let a buyer's good tasks become tests, or no longer: those that did are retired at once."""
    async with begin(market) as unit:
        await store_people.update_shares_texts(unit.conn, buyer_id, shares=shares)
        if not shares:
            await store_people.retire_golds_of(unit.conn, buyer_id)
        facts = {"shares": shares}
        await audit.record(unit.conn, user_id, "account.share_texts", buyer_id, facts)


async def open_account_export(market: Market, user_id: str, buyer_id: str) -> AsyncIterator[bytes]:
    """All that is kept of a person, as JSON, read page by page as it is taken.

    Secrets are in none of it: of keys, sessions and links only hashes are kept.

    Raises:
        Problem: `not_found`.
    """
    async with market.db.read() as conn:
        person = await store_people.select_person(conn, user_id)
    if person is None:
        raise not_found("account")
    balance = await get_balance(market, buyer_id)
    head = {
        "exported_at": rfc3339(market.clock.now()),
        "user": person,
        "balance": msgspec.to_builtins(balance),
    }
    return _export(market, user_id, buyer_id, head)


async def _export(
    market: Market, user_id: str, buyer_id: str, head: dict[str, Any]
) -> AsyncIterator[bytes]:
    yield msgspec.json.encode(head)[:-1]
    for part in store_people.EXPORTS:
        yield f',"{part}":['.encode()
        after, first = "", True
        while True:
            async with market.db.read() as conn:
                page = await store_people.export_page(conn, part, user_id, buyer_id, after, _PAGE)
            if page:
                after = page[-1][0]
                yield ("" if first else ",").encode() + ",".join(p[1] for p in page).encode()
                first = False
            if len(page) < _PAGE:
                break
        yield b"]"
    yield b"}\n"


async def delete_account(market: Market, user_id: str, buyer_id: str, confirmed: str) -> None:
    """Delete an account for good.

    What lets anybody in ends at once, and so do the name, the address, conversations and links.
    The texts of tasks go right after, in batches that `erase_deleted` ends if this process does
    not. The books stay, with ids that lead to nobody; a balance that is left stays in them.

    Args:
        market: The market.
        user_id: Who.
        buyer_id: The buyer that they are.
        confirmed: Their address, as they typed it.

    Raises:
        Problem: 422: another address was typed. 409 `wrong_state`: tasks or payments are
            under way. 403 `suspended`: a payment is disputed.
    """
    async with begin(market) as unit:
        user = await users.lock_for_deletion(unit.conn, user_id)
        if user is None:
            raise not_found("account")
        if confirmed.strip().lower() != user.email.lower():
            raise invalid("confirm", "Type the e-mail address of your account to confirm.")
        # Whoever writes in a conversation holds this, and then the balances.
        await wait_for_chat(unit.conn, buyer_id)
        # Whoever posts a task holds the balances, then looks whether the buyer is suspended: it
        # comes before, and is counted here, or after, and is refused.
        await ledger.lock_balances(unit.conn, [buyer_id])
        if await store_people.lock_buyer(unit.conn, buyer_id):
            raise Problem(
                "suspended",
                "A payment of this account is disputed. It can be deleted when that is settled.",
                suspended_until=None,
            )
        await _refuse_open_tasks(unit, buyer_id)
        await _refuse_open_deposits(unit, buyer_id)
        await buyers.suspend(unit.conn, buyer_id, "the account was deleted")
        await sessions.end_sessions_of(unit.conn, user_id)
        await store_people.revoke_keys_of(unit.conn, buyer_id)
        # Before its gold tasks go: a verdict that is being reached right now makes none after it.
        await store_people.update_shares_texts(unit.conn, buyer_id, shares=False)
        await store_people.retire_golds_of(unit.conn, buyer_id)
        await store_people.forget_events_of(unit.conn, buyer_id)
        await chat.erase(unit.conn, buyer_id, unit.now)
        await buyer_marks.forget_marks(unit.conn, buyer_id)
        await users.forget(unit.conn, user_id, user.email)
        await audit.record(unit.conn, user_id, "account.delete", buyer_id, {})
    await _erase(market, user_id, buyer_id)


async def refuse_deleted(unit: Unit, buyer_id: str) -> None:
    """Let a buyer through whose account is not deleted, and is not until the transaction ends.

    For what is kept for a buyer, who may have been deleted since the request was let in.

    Raises:
        Problem: 401 `unauthenticated`.
    """
    if not await store_people.is_kept(unit.conn, buyer_id):
        raise Problem("unauthenticated", "This account was deleted.")


async def _refuse_open_tasks(unit: Unit, buyer_id: str) -> None:
    count = await store_people.count_open_tasks(unit.conn, buyer_id)
    if count:
        noun = "task is" if count == 1 else "tasks are"
        raise Problem(
            "wrong_state",
            f"{count} {noun} still under way. Cancel what waits, let the rest come to its end,"
            " then delete the account.",
        )


async def _refuse_open_deposits(unit: Unit, buyer_id: str) -> None:
    """Refuse while money may come that nobody could spend any more."""
    if await deposits.has_payable(unit.conn, buyer_id, _PAYABLE_S):
        raise Problem(
            "wrong_state",
            "A payment by card was begun. Pay it to its end and spend it, or leave it: it can no"
            " longer be paid after a day. Then delete the account.",
        )


async def _erase(market: Market, user_id: str, buyer_id: str) -> int:
    """Erase batch by batch until nothing is left that can go now; how many tasks."""
    erased = 0
    while True:
        async with begin(market) as unit:
            picked = await store_people.pick_texts(unit.conn, buyer_id, _BATCH)
            await store_retention.erase_texts(unit.conn, picked)
            last = len(picked) < _BATCH
            if last:
                await _erase_rest(unit, user_id, buyer_id)
        erased += len(picked)
        if last:
            return erased


async def _erase_rest(unit: Unit, user_id: str, buyer_id: str) -> None:
    """Erase what is left in hidden tasks; what is under way at this moment waits."""
    copies = await store_people.select_copies_with_texts(unit.conn, buyer_id)
    await store_retention.erase_texts(unit.conn, [task for task, over in copies if over])
    if all(over for _, over in copies) and not await store_people.has_texts(unit.conn, buyer_id):
        await store_people.mark_erased(unit.conn, user_id)


async def erase_deleted(market: Market) -> int:
    """Erase what is left of deleted accounts; how many tasks lost their texts."""
    async with market.db.read() as conn:
        waiting = await store_people.select_unerased(conn, _USERS_AT_ONCE)
    erased = 0
    for user_id, buyer_id in waiting:
        erased += await _erase(market, user_id, buyer_id)
    return erased


async def tend_accounts(market: Market) -> int:
    """What is due for accounts now and then: texts of deleted ones, sessions that ended long ago.

    Returns how many tasks lost their texts.
    """
    async with begin(market) as unit:
        if await store.try_job_lock(unit.conn, "sweep_sessions"):
            await sessions.sweep(unit.conn, _BATCH)
    return await erase_deleted(market)
