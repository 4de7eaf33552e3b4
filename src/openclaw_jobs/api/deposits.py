"""A buyer pays by card: the deposit, Stripe's events, and where Checkout sends the buyer back."""

from typing import Annotated, Any, Final

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from openclaw_jobs.api.bodies import Body
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.kit.timefmt import rfc3339, rfc3339_or_none
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.open_deposit import OpenedDeposit, list_deposits, open_deposit
from openclaw_jobs.market.reinstate_buyer import reinstate_buyer
from openclaw_jobs.market.take_webhook import take_stripe_event
from openclaw_jobs.payments.deposits import Deposit, DepositDesk, PackName

_BUYER: list[dict[str, list[str]]] = [{"buyer": []}]
_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_TAGS: Final = ["Buyer"]


class DepositBody(Body, frozen=True, kw_only=True):
    """Which pack to buy."""

    pack: PackName


class DepositOpened(msgspec.Struct, frozen=True):
    """Where the buyer pays, and Stripe's name of it."""

    checkout_url: str
    session_id: str


class EventReceived(msgspec.Struct, frozen=True):
    """The event is kept and will be worked."""

    received: bool


class DepositEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit as its buyer sees it."""

    id: str
    pack: str
    cents: int
    bonus_cents: int
    refunded_cents: int
    status: str
    session_id: str | None
    created_at: str
    paid_at: str | None


class DepositList(msgspec.Struct, frozen=True):
    """Deposits, newest first."""

    deposits: list[DepositEntry]
    next_cursor: str | None


class BuyerReinstated(msgspec.Struct, frozen=True):
    """A buyer that may post tasks."""

    buyer_id: str
    status: str


def deposit_routes(market: Market, desk: DepositDesk) -> list[Any]:
    """The routes of deposits, taken at `desk`."""

    @post(
        "/api/deposit",
        status_code=200,
        opt=route_options(auth="buyer", rate="deposit", replay=True),
        operation_id="createDeposit",
        security=_BUYER,
        tags=_TAGS,
        responses=problem_responses("idempotency_conflict", "unavailable"),
    )
    async def deposit(request: ApiRequest, data: JSONBody[DepositBody]) -> DepositOpened:
        """Buy a pack of credit: the answer says where Stripe asks for the payment."""
        opened = await open_deposit(
            market,
            desk,
            buyer_id=request.buyer_id,
            pack=data.pack,
            site=_own_address(request),
            replay=request.replay(_opened),
        )
        return _opened(opened)

    @post(
        "/api/deposit/webhook",
        status_code=200,
        opt=route_options(auth="public", body_limit="webhook", rate="webhook", raw_body=True),
        operation_id="takeStripeEvent",
        tags=["Operations"],
        responses=problem_responses("invalid_signature", "malformed_json", "unavailable"),
    )
    async def webhook(request: ApiRequest) -> EventReceived:
        """Take one of Stripe's signed events; it is worked a moment later."""
        signature = request.headers.get("stripe-signature")
        await take_stripe_event(market, desk, await request.body(), signature)
        return EventReceived(received=True)

    @get(
        "/api/deposits",
        opt=route_options(auth="buyer", rate="api_read"),
        operation_id="listDeposits",
        security=_BUYER,
        tags=_TAGS,
    )
    async def deposits(
        request: ApiRequest,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
        cursor: FromQuery[str | None] = None,
    ) -> DepositList:
        """List the buyer's deposits, newest first."""
        if cursor is not None and not is_id("dep", cursor):
            raise invalid("cursor", "This is no cursor of this list.")
        page = await list_deposits(market, request.buyer_id, cursor, limit)
        return DepositList([_entry(found) for found in page.deposits], page.resume_after)

    return [deposit, webhook, deposits, _reinstate_route(market)]


def _reinstate_route(market: Market) -> Any:  # noqa: ANN401 - a handler
    @post(
        "/api/admin/buyers/{buyer_id:str}/reinstate",
        status_code=200,
        opt=route_options(auth="operator", rate="admin", replay=True),
        operation_id="reinstateBuyer",
        security=_OPERATOR,
        tags=["Operator"],
        responses=problem_responses("not_found"),
    )
    async def reinstate(request: ApiRequest, buyer_id: FromPath[str]) -> BuyerReinstated:
        """Let a buyer who was suspended over a dispute post tasks again."""
        reinstated = await reinstate_buyer(
            market, buyer_id, actor=request.operator, replay=request.replay(_reinstated)
        )
        return _reinstated(reinstated)

    return reinstate


def _own_address(request: ApiRequest) -> str:
    """Where this very socket listens, for a site whose `PUBLIC_URL` is not set.

    Not what the `Host` header says, which is the caller's to choose.
    """
    host, port = request.scope.get("server") or ("127.0.0.1", None)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}" if port is None else f"http://{shown}:{port}"


def _opened(opened: OpenedDeposit) -> DepositOpened:
    return DepositOpened(opened.checkout_url, opened.session_id)


def _reinstated(buyer_id: str) -> BuyerReinstated:
    return BuyerReinstated(buyer_id, "active")


def _entry(found: Deposit) -> DepositEntry:
    return DepositEntry(
        id=found.deposit_id,
        pack=found.pack,
        cents=found.cents,
        bonus_cents=found.bonus_cents,
        refunded_cents=found.refunded_cents,
        status=found.status,
        session_id=found.session_id,
        created_at=rfc3339(found.created_at),
        paid_at=rfc3339_or_none(found.paid_at),
    )
