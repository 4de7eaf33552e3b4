"""New buyers, keys and workers."""

from collections.abc import Sequence

from openclaw_jobs import identity, ledger
from openclaw_jobs.buyers import TotalsChange, create_buyer, update_totals
from openclaw_jobs.identity import ApiKey, EmailTakenError, NewApiKey
from openclaw_jobs.identity.rules import is_email
from openclaw_jobs.kit.errors import invalid, not_found
from openclaw_jobs.ledger import BUYER_ACCOUNTS, WORKER_ACCOUNTS, Transfer
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.tell_owners import mark_buyer, refuse_crowded
from openclaw_jobs.market.unit import Replay, Unit, begin, run
from openclaw_jobs.workers import Preferences, Profile, store_marks
from openclaw_jobs.workers import service as workers


async def sign_up(market: Market, email: str) -> tuple[str, NewApiKey]:
    """Make somebody a buyer, with the configured signup bonus; returns its id and first key.

    Raises:
        Problem: The address is no address, or taken.
    """
    bonus = market.config.signup.bonus_cents
    async with begin(market) as unit:
        buyer_id, key = await _open_buyer(unit, email)
        await _give(unit, buyer_id, ledger.signup_bonus(buyer_id, bonus), bonus)
    return buyer_id, key


async def create_funded_buyer(
    market: Market, email: str, credit_cents: int, actor: str
) -> tuple[str, NewApiKey]:
    """Make somebody a buyer by an operator's act, with exactly the credit that is given.

    Raises:
        Problem: The address is no address, or taken.
    """
    async with begin(market) as unit:
        buyer_id, key = await _open_buyer(unit, email)
        grant = ledger.operator_grant(buyer_id, credit_cents, buyer_id, actor=actor)
        await _give(unit, buyer_id, grant, credit_cents)
    return buyer_id, key


async def _open_buyer(unit: Unit, email: str) -> tuple[str, NewApiKey]:
    if not is_email(email):
        raise invalid("email", "This is not an e-mail address.")
    try:
        user_id = await identity.create_user(unit.conn, email)
    except EmailTakenError:
        raise invalid("email", "There is an account with this address already.") from None
    buyer_id = await create_buyer(unit.conn, user_id)
    await ledger.open_accounts(unit.conn, buyer_id, BUYER_ACCOUNTS)
    await mark_buyer(unit, buyer_id, user_id, email)
    return buyer_id, await identity.issue_api_key(unit.conn, buyer_id, "first key")


async def _give(unit: Unit, buyer_id: str, gift: Transfer | None, cents: int) -> None:
    if gift is None:
        return
    await ledger.post(unit.conn, [gift])
    await update_totals(unit.conn, [TotalsChange(buyer_id, bonus_cents=cents)])
    unit.tell(buyer_id, "balance", None, balance_cents=cents)


async def issue_key(
    market: Market, buyer_id: str, name: str | None, replay: Replay[NewApiKey] | None
) -> NewApiKey:
    """Give a buyer one more key."""

    async def effect(unit: Unit) -> NewApiKey:
        return await identity.issue_api_key(unit.conn, buyer_id, name)

    return await run(market, effect, replay)


async def list_keys(market: Market, buyer_id: str) -> list[ApiKey]:
    """A buyer's live keys."""
    async with market.db.read() as conn:
        return await identity.list_api_keys(conn, buyer_id)


async def revoke_key(market: Market, buyer_id: str, key_id: str) -> None:
    """Revoke a buyer's key at once.

    Raises:
        Problem: `not_found`.
    """
    async with begin(market) as unit:
        if not await identity.revoke_api_key(unit.conn, buyer_id, key_id):
            raise not_found("key")


async def connect_worker(
    market: Market,
    *,
    name: str | None,
    model: str | None,
    capabilities: Sequence[str],
    preferences: Preferences,
    replay: Replay[tuple[Profile, str]] | None,
    address: str | None = None,
) -> tuple[Profile, str]:
    """Register a worker; returns its profile and the token that is shown this once.

    `address` is the one that it called from: workers of one network share no check.
    """

    async def effect(unit: Unit) -> tuple[Profile, str]:
        network = await refuse_crowded(market, unit, address)
        profile, token = await workers.register(
            unit.conn,
            name=name,
            model=model,
            capabilities=capabilities,
            preferences=preferences,
            now=unit.now,
        )
        await ledger.open_accounts(unit.conn, profile.worker_id, WORKER_ACCOUNTS)
        if network is not None:
            await store_marks.add_networks(unit.conn, [(profile.worker_id, network)])
        return profile, token

    return await run(market, effect, replay)


async def rotate_token(market: Market, worker_id: str, replay: Replay[str] | None) -> str:
    """Replace a worker's token; the old one stops working at once."""

    async def effect(unit: Unit) -> str:
        return await workers.rotate_token(unit.conn, worker_id)

    return await run(market, effect, replay)
