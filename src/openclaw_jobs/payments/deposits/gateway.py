"""Stripe over HTTP, through its own SDK. Never called inside a transaction.

A call names what it is for by an idempotency key, so that the same one again, after a time-out
or a cut connection, has no further effect.

The SDK takes as long to import as half of the server, so it is loaded by who uses it.
"""

import math
from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self, TypeVar

import msgspec

from openclaw_jobs.payments.deposits.models import (
    CURRENCY,
    PRODUCT,
    BalanceChange,
    NewDeposit,
)

if TYPE_CHECKING:
    import stripe

T = TypeVar("T")

_TIMEOUT_S: Final = 10.0
_RETRIES: Final = 2
_SERVER_ERROR: Final = 500
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_PAGE: Final = 100


class StripeUnavailable(Exception):  # noqa: N818 - a state, not a mistake
    """Stripe did not answer, or is not able to now; the same call may work later."""


class StripeRefused(Exception):  # noqa: N818 - a refusal, not a mistake of ours alone
    """Stripe will not do this, now or later.

    Attributes:
        code: Stripe's error code or type.
        status: The HTTP status of its answer.
        request_id: Stripe's name of the request, by which its support finds it.
    """

    def __init__(self, code: str, status: int, request_id: str | None) -> None:
        super().__init__(f"Stripe answered {status} {code} (request {request_id})")
        self.code = code
        self.status = status
        self.request_id = request_id


class BuiltSession(msgspec.Struct, frozen=True):
    """A Checkout session; `amount_cents` is what its page asks for."""

    session_id: str
    url: str
    amount_cents: int | None


class ChargeFee(msgspec.Struct, frozen=True):
    """What Stripe kept of a charge, in cents of `currency`."""

    charge_id: str
    fee_cents: int
    currency: str


class StripeGateway:
    """One account at Stripe."""

    def __init__(self, client: "stripe.StripeClient", http: "stripe.HTTPXClient") -> None:
        self._v1 = client.v1
        self._http = http

    @classmethod
    def open(cls, secret_key: str, api_base: str | None) -> Self:
        """Prepare to call Stripe, or what answers at `api_base`; connects at the first call."""
        import stripe  # noqa: PLC0415 - see the module

        http = stripe.HTTPXClient(timeout=_TIMEOUT_S)
        client = stripe.StripeClient(
            secret_key,
            base_addresses={} if api_base is None else {"api": api_base},
            max_network_retries=_RETRIES,
            http_client=http,
        )
        return cls(client, http)

    async def close(self) -> None:
        """Close what is connected."""
        await self._http.close_async()  # type: ignore[no-untyped-call] # the SDK has no types here

    async def create_session(
        self, deposit: NewDeposit, price_id: str | None, site: str
    ) -> BuiltSession:
        """Have Checkout ask for a deposit; the same deposit again is the same session.

        Args:
            deposit: What is paid; its id is the idempotency key.
            price_id: A price that was made at Stripe before; None names the amount here.
            site: Where the buyer comes back to, without a trailing slash.

        Raises:
            StripeUnavailable: It may or may not have been made; ask again.
            StripeRefused: It was not made.
        """
        metadata = {"deposit_id": deposit.deposit_id, "pack": deposit.pack}
        session = await _call(
            self._v1.checkout.sessions.create_async(
                {
                    "mode": "payment",
                    "line_items": [
                        {"price": price_id, "quantity": 1}
                        if price_id is not None
                        else {
                            "price_data": {
                                "currency": CURRENCY,
                                "unit_amount": deposit.cents,
                                "product_data": {"name": PRODUCT},
                            },
                            "quantity": 1,
                        }
                    ],
                    "client_reference_id": deposit.buyer_id,
                    "metadata": metadata,
                    # A charge has the metadata of its payment, so that Stripe's pages show it.
                    "payment_intent_data": {"metadata": metadata},
                    "success_url": f"{site}/deposit/success?session_id={{CHECKOUT_SESSION_ID}}",
                    "cancel_url": f"{site}/deposit/cancel",
                },
                {"idempotency_key": deposit.deposit_id},
            )
        )
        url = getattr(session, "url", None)
        if not isinstance(url, str):
            raise StripeUnavailable("Stripe's session has no address")
        amount = getattr(session, "amount_total", None)
        return BuiltSession(session.id, url, amount)

    async def fee_of(self, payment_intent_id: str | None, session_id: str) -> ChargeFee | None:
        """What Stripe kept of a payment, from its balance transaction; None if not yet known.

        Raises:
            StripeUnavailable, StripeRefused: As everywhere.
        """
        import stripe  # noqa: PLC0415 - see the module

        intent: str | stripe.PaymentIntent | None = payment_intent_id
        if intent is None:
            session = await _call(self._v1.checkout.sessions.retrieve_async(session_id))
            intent = getattr(session, "payment_intent", None)
        if isinstance(intent, str):
            intent = await _call(
                self._v1.payment_intents.retrieve_async(
                    intent, {"expand": ["latest_charge.balance_transaction"]}
                )
            )
        charge = getattr(intent, "latest_charge", None)
        if isinstance(charge, str):
            charge = await _call(
                self._v1.charges.retrieve_async(charge, {"expand": ["balance_transaction"]})
            )
        entry = getattr(charge, "balance_transaction", None)
        if isinstance(entry, str):
            entry = await _call(self._v1.balance_transactions.retrieve_async(entry))
        if not isinstance(charge, stripe.Charge) or not isinstance(
            entry, stripe.BalanceTransaction
        ):
            return None
        return ChargeFee(charge.id, entry.fee, entry.currency)

    async def dispute_changes(self, dispute_id: str) -> list[BalanceChange]:
        """What a dispute has done to the balance so far; nothing if Stripe knows of none.

        Raises:
            StripeUnavailable, StripeRefused: As everywhere.
        """
        try:
            dispute = await _call(self._v1.disputes.retrieve_async(dispute_id))
        except StripeRefused as refused:
            if refused.status == _NOT_FOUND:
                return []
            raise
        entries = getattr(dispute, "balance_transactions", None) or []
        return [BalanceChange(entry.amount, entry.fee) for entry in entries]

    async def balance_entries(
        self, since: datetime, until: datetime
    ) -> "list[stripe.BalanceTransaction]":
        """Everything that moved the balance in [since, until), newest first.

        Raises:
            StripeUnavailable, StripeRefused: As everywhere.
        """
        page = await _call(
            self._v1.balance_transactions.list_async(
                {
                    "created": {
                        "gte": math.ceil(since.timestamp()),
                        "lt": math.ceil(until.timestamp()),
                    },
                    "limit": _PAGE,
                    "expand": ["data.source"],
                }
            )
        )
        entries = list(page.data)
        while page.has_more and page.data:
            page = await _call(page.next_page_async())
            entries += page.data
        return entries


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether `signature`, a `Stripe-Signature` header, is of this body and secret.

    The time in it is signed too, and is the caller's to judge.
    """
    import stripe  # noqa: PLC0415 - see the module

    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, tolerance=None)
    except (stripe.SignatureVerificationError, UnicodeDecodeError, TypeError):
        # Characters beyond ASCII are a TypeError of the comparison.
        return False
    return True


async def _call(answer: Awaitable[T]) -> T:
    """Wait for an answer, and tell what cannot work from what may work later.

    Raises:
        StripeUnavailable, StripeRefused: See there.
    """
    import stripe  # noqa: PLC0415 - see the module

    try:
        return await answer
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise StripeUnavailable(type(error.__cause__ or error).__name__) from error
    except stripe.StripeError as error:
        status = error.http_status
        if status is None or status >= _SERVER_ERROR or status == _CONFLICT:
            raise StripeUnavailable(f"{type(error).__name__} {status}") from error
        code = error.code or type(error).__name__
        raise StripeRefused(code, status, error.request_id) from error
