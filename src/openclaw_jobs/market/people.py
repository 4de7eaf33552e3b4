"""People who sign in: their accounts, made at the first time, and their browsers."""

import msgspec

from openclaw_jobs import audit, identity, ledger
from openclaw_jobs.buyers import TotalsChange, buyer_of_user, create_buyer, update_totals
from openclaw_jobs.identity import sessions, users
from openclaw_jobs.identity.models import SessionEntry, SignIn, User
from openclaw_jobs.identity.rules import is_email
from openclaw_jobs.identity.sessions import NewSession
from openclaw_jobs.kit.errors import invalid, not_found
from openclaw_jobs.ledger import BUYER_ACCOUNTS
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.tell_owners import bonus_reason, mark_buyer, mark_person
from openclaw_jobs.market.unit import Unit, begin

__all__ = [
    "SignedIn",
    "begin_sign_in",
    "finish_sign_in",
    "hold_worker",
    "list_operators",
    "list_sessions",
    "release_worker",
    "rename_user",
    "revoke_session",
    "set_operator",
    "sign_in",
    "sign_out",
    "sign_out_everywhere",
    "sign_out_person",
]


class SignedIn(msgspec.Struct, frozen=True):
    """Who signed in, and the session that the browser gets.

    Attributes:
        session: With the secret for the cookie.
        user_id: Whose it is.
        bonus_cents: What a new account was given; None for one that was there before.
    """

    session: NewSession
    user_id: str
    bonus_cents: int | None


async def sign_in(
    market: Market,
    *,
    provider: str,
    subject: str,
    email: str,
    name: str | None,
    instead_of: str | None,
    user_agent: str | None,
    address: str | None = None,
) -> SignedIn:
    """Sign somebody in whom a provider vouches for.

    They are found by the provider's id of them, else by the address that it has proven to be
    theirs; else an account is made, a buyer's, with the signup bonus unless `tell_owners` knows a
    reason against it.

    Args:
        market: The market.
        provider: Who vouches, such as `google`.
        subject: Their id there.
        email: Their proven address.
        name: What they are called there; kept for a new account.
        instead_of: The session that the browser had.
        user_agent: What the browser calls itself.
        address: Where it calls from.

    Raises:
        Problem: 422: the address is none.
    """
    if not is_email(email):
        raise invalid("email", "This is not an e-mail address.")
    bonus: int | None = None
    async with begin(market) as unit:
        user_id = await users.find_user(unit.conn, provider, subject, email)
        if user_id is None:
            user_id = await users.create_person(unit.conn, email, name)
        await users.link_identity(unit.conn, provider, subject, user_id)
        if await buyer_of_user(unit.conn, user_id) is None:
            bonus = await _make_buyer(market, unit, user_id, email, address)
        session = await sessions.open_session(
            unit.conn, user_id=user_id, instead_of=instead_of, user_agent=user_agent
        )
    return SignedIn(session, user_id, bonus)


async def _make_buyer(
    market: Market, unit: Unit, user_id: str, email: str, address: str | None
) -> int:
    """Make a user a buyer; what they were given for it, in cents."""
    buyer_id = await create_buyer(unit.conn, user_id)
    await ledger.open_accounts(unit.conn, buyer_id, BUYER_ACCOUNTS)
    bonus = market.config.signup.bonus_cents
    if await bonus_reason(market, unit, buyer_id, email, address) is not None:
        bonus = 0
    await mark_buyer(unit, buyer_id, user_id, email)
    gift = ledger.signup_bonus(buyer_id, bonus)
    if gift is not None:
        await ledger.post(unit.conn, [gift])
        await update_totals(unit.conn, [TotalsChange(buyer_id, bonus_cents=bonus)])
        unit.tell(buyer_id, "balance", None, balance_cents=bonus)
    return bonus


async def begin_sign_in(market: Market, state: str, provider: str, sent: SignIn) -> None:
    """Remember what a sign-in at a provider sends along, until it comes back."""
    async with begin(market) as unit:
        await sessions.remember_sign_in(unit.conn, state, provider, sent)


async def finish_sign_in(market: Market, state: str, provider: str) -> SignIn | None:
    """What was sent along with this state, once and for ten minutes; else None."""
    async with begin(market) as unit:
        return await sessions.take_sign_in(unit.conn, state, provider)


async def sign_out(market: Market, session_id: str) -> None:
    """End this browser's session."""
    async with begin(market) as unit:
        await sessions.end_session(unit.conn, session_id)


async def sign_out_everywhere(market: Market, user_id: str) -> int:
    """End all sessions of a user; how many there were."""
    async with begin(market) as unit:
        ended = await sessions.end_sessions_of(unit.conn, user_id)
        await audit.record(unit.conn, user_id, "account.sign_out_everywhere", user_id, {})
        return ended


async def sign_out_person(market: Market, email: str, *, actor: str) -> int:
    """End all sessions of somebody else, by their address; how many there were.

    Raises:
        Problem: `not_found`: nobody has this address.
    """
    async with begin(market) as unit:
        user = await users.by_email(unit.conn, email)
        if user is None:
            raise not_found("user")
        ended = await sessions.end_sessions_of(unit.conn, user.id)
        await audit.record(unit.conn, actor, "operator.sign_out", user.id, {"sessions": ended})
        return ended


async def list_sessions(market: Market, user_id: str) -> list[SessionEntry]:
    """Where a user is signed in, the last seen first."""
    async with market.db.read() as conn:
        return await sessions.list_sessions(conn, user_id)


async def revoke_session(market: Market, user_id: str, session_id: str) -> None:
    """End one session of a user.

    Raises:
        Problem: `not_found`.
    """
    async with begin(market) as unit:
        if not await sessions.end_session_of(unit.conn, user_id, session_id):
            raise not_found("session")


async def rename_user(market: Market, user_id: str, name: str | None) -> None:
    """Call somebody by another name, or by none."""
    async with begin(market) as unit:
        await users.rename(unit.conn, user_id, name)


async def hold_worker(
    market: Market,
    worker_id: str,
    token_hash: bytes,
    *,
    user_id: str | None,
    instead_of: str | None,
    user_agent: str | None,
) -> NewSession:
    """Give the browser a session that holds this worker, as long as its token stays the same.

    Args:
        market: The market.
        worker_id: The worker's id; its token was checked by the caller or just made.
        token_hash: The hash of its token.
        user_id: Who is signed in, and stays so.
        instead_of: The session that the browser had, which ends.
        user_agent: What the browser calls itself.
    """
    async with begin(market) as unit:
        await mark_person(unit, worker_id, user_id)
        return await sessions.open_session(
            unit.conn,
            user_id=user_id,
            worker=(worker_id, token_hash),
            instead_of=instead_of,
            user_agent=user_agent,
        )


async def release_worker(market: Market, session_id: str) -> None:
    """Let the browser hold its worker no more."""
    async with begin(market) as unit:
        await sessions.release_worker(unit.conn, session_id)


async def set_operator(market: Market, email: str, *, operator: bool, actor: str) -> User:
    """Give somebody the operator's role or take it; who never signed in gets an account for it.

    Raises:
        Problem: 422: the address is none. 404: nobody to take the role from.
    """
    if not is_email(email):
        raise invalid("email", "This is not an e-mail address.")
    async with begin(market) as unit:
        user = await users.by_email(unit.conn, email)
        if user is None:
            if not operator:
                raise not_found("user")
            await identity.create_user(unit.conn, email)
        user = await users.set_operator(unit.conn, email, operator=operator)
        if user is None:
            raise not_found("user")
        action = "operator.add" if operator else "operator.remove"
        await audit.record(unit.conn, actor, action, user.id, {})
        return user


async def list_operators(market: Market) -> list[User]:
    """Who has the operator's role, by address."""
    async with market.db.read() as conn:
        return await users.operators(conn)
