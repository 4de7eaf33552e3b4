"""Stripe tells us something: it is verified, kept once as it came, and worked later."""

from typing import Final

import msgspec

from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import begin
from openclaw_jobs.payments.deposits import DepositDesk, rules, store_events
from openclaw_jobs.payments.deposits.gateway import is_signed
from openclaw_jobs.payments.deposits.models import EventHead

STRIPE: Final = "stripe"
"""What its events are filed under."""

_HEAD: Final = msgspec.json.Decoder(EventHead)


async def take_stripe_event(
    market: Market, desk: DepositDesk, body: bytes, signature: str | None
) -> None:
    """Keep an event for `work_webhooks`; one that was kept before changes nothing.

    Args:
        market: Where.
        desk: Where deposits are taken; its loop is woken.
        body: The body to the byte, as the signature is of it.
        signature: The header `Stripe-Signature`.

    Raises:
        Problem: `invalid_signature`, `malformed_json`, or `unavailable` without the secret.
    """
    if desk.webhook_secret is None:
        raise Problem(
            "unavailable",
            "This marketplace cannot verify Stripe's events yet: its operator has to set"
            " STRIPE_WEBHOOK_SECRET.",
            headers={"Retry-After": "60"},
        )
    _verify(body, signature or "", desk.webhook_secret, market.clock.now().timestamp())
    try:
        head = _HEAD.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem("malformed_json", "The body is not an event of Stripe's.") from None
    async with begin(market) as unit:
        await store_events.insert_event(unit.conn, STRIPE, head.id, head.type, body.decode())
    failpoint("webhook.kept")
    desk.arrived.set()


def _verify(body: bytes, signature: str, secret: str, now: float) -> None:
    """Refuse what Stripe has not signed, and what it signed too long ago."""
    at = rules.signed_at(signature)
    if at is None or not rules.is_timely(at, now) or not is_signed(body, signature, secret):
        raise Problem(
            "invalid_signature", "The Stripe-Signature does not fit this body, or is too old."
        )
