"""What PayPal's answers mean. Pure: no network, no clock.

Sources: PayPal's Payouts API 1.9 and Transaction Search API 1.9 (the OpenAPI documents it keeps
public), its table of item statuses, and the error bodies of its sandbox.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from openclaw_jobs.kit.money import format_cents
from openclaw_jobs.payments.providers.base import (
    Failed,
    Outcome,
    Paid,
    PayoutOrder,
    RailRecord,
    Returned,
    Sent,
    Unknown,
)

__all__ = [
    "Batch",
    "BatchHeader",
    "Refusal",
    "ReportPage",
    "duplicate_of",
    "is_duplicate",
    "is_final",
    "outcome_of",
    "payout_request",
    "records_of",
    "told_by",
]

CURRENCY: Final = "USD"

_WAITING: Final = frozenset({"PENDING", "UNCLAIMED", "ONHOLD", "ON_HOLD"})
"""UNCLAIMED: the address has no PayPal account; after 30 days the money is RETURNED."""
_NOT_PAID: Final = frozenset({"FAILED", "DENIED"})
"""PayPal says of both that the money is not taken from the account."""
_CAME_BACK: Final = frozenset({"RETURNED", "REFUNDED", "REVERSED"})
_BATCH_NOT_PROCESSED: Final = frozenset({"DENIED", "CANCELED"})
_FINAL_REFUSALS: Final = frozenset({"VALIDATION_ERROR", "INVALID_REQUEST", "MALFORMED_REQUEST"})
"""Refusals of the request itself, which the same request always gets. Everything else (no funds,
no permission, a locked or unconfirmed account) is the platform's to put right, and is asked again
with the same key; nothing of it says that an earlier call was not accepted."""
_BALANCE_AFFECTING: Final = frozenset({"S", "P", "V", "F"})
"""Succeeded, pending (an unclaimed payout has left), reversed, partly refunded; not denied."""
_BATCH_HREF: Final = re.compile(r"/v1/payments/payouts/([A-Za-z0-9-]+)/?(?:\?|$)")
_MAX_REASON_CHARS: Final = 300


class _Answer(msgspec.Struct, frozen=True):
    """Part of an answer; what PayPal says beyond it is ignored."""


class Link(_Answer, frozen=True):
    """A link of an answer; only the id in it is used, never its host."""

    href: str = ""


class Detail(_Answer, frozen=True):
    """What is wrong with one field."""

    field: str = ""
    issue: str = ""
    link: list[Link] = []
    links: list[Link] = []


class Refusal(_Answer, frozen=True):
    """An error body; `error` and `error_description` are those of the token endpoint."""

    name: str = ""
    message: str = ""
    details: list[Detail] = []
    links: list[Link] = []
    error: str = ""
    error_description: str = ""


class Money(_Answer, frozen=True):
    """An amount as a decimal string; the two APIs name its currency differently."""

    value: str
    currency: str = ""
    currency_code: str = ""

    @property
    def unit(self) -> str:
        """Its currency."""
        return self.currency or self.currency_code

    @property
    def cents(self) -> int:
        """Hundredths of its currency.

        Raises:
            ValueError: It is no number of whole hundredths.
        """
        try:
            hundredths = Decimal(self.value).scaleb(2)
        except InvalidOperation:
            raise ValueError(f"PayPal's amount is {self.value!r}") from None
        if not hundredths.is_finite() or hundredths != hundredths.to_integral_value():
            raise ValueError(f"PayPal's amount is {self.value!r}")
        return int(hundredths)


class SenderHeader(_Answer, frozen=True):
    """What we called the batch."""

    sender_batch_id: str = ""


class BatchHeader(_Answer, frozen=True):
    """A batch: its name at PayPal, its status, and what we called it."""

    payout_batch_id: str
    batch_status: str
    sender_batch_header: SenderHeader = SenderHeader()


class ItemAsked(_Answer, frozen=True):
    """The item as we asked for it."""

    amount: Money
    sender_item_id: str = ""


class Item(_Answer, frozen=True):
    """One payment of a batch."""

    transaction_status: str = "PENDING"
    payout_item: ItemAsked | None = None
    payout_item_fee: Money | None = None
    errors: Refusal | None = None


class Batch(_Answer, frozen=True):
    """A batch with its items."""

    batch_header: BatchHeader
    items: list[Item] = []


class ReportInfo(_Answer, frozen=True):
    """A movement of the account, as the Transaction Search API tells it."""

    transaction_id: str
    transaction_initiation_date: str
    transaction_amount: Money | None = None
    fee_amount: Money | None = None
    transaction_status: str = ""
    custom_field: str | None = None


class ReportRow(_Answer, frozen=True):
    """A row of a report."""

    transaction_info: ReportInfo


class ReportPage(_Answer, frozen=True):
    """A page of a report."""

    transaction_details: list[ReportRow] = []
    total_pages: int = 1


def payout_request(order: PayoutOrder) -> dict[str, object]:
    """The batch of one payment that pays an order.

    Both names are the attempt's key: PayPal pays a `sender_batch_id` once within 30 days, wants a
    `sender_item_id` unique for as long, and repeats the latter in its reports.
    """
    whole, rest = divmod(order.amount_cents, 100)
    return {
        "sender_batch_header": {
            "sender_batch_id": order.key,
            "email_subject": "Your earnings have been paid",
        },
        "items": [
            {
                "recipient_type": "EMAIL",
                "receiver": order.address,
                "amount": {"value": f"{whole}.{rest:02}", "currency": CURRENCY},
                "sender_item_id": order.key,
                "note": f"Payout {order.payout_id}",
            }
        ],
    }


def is_duplicate(refusal: Refusal) -> bool:
    """Whether PayPal refuses a batch because it has one of that name already."""
    return "DUPLICATE" in refusal.name.upper() or any(
        "SENDER_BATCH_ID" in detail.field.upper()
        or "ALREADY EXISTS" in detail.issue.upper()
        or "DUPLICATE" in detail.issue.upper()
        for detail in refusal.details
    )


def duplicate_of(refusal: Refusal) -> str | None:
    """PayPal's id of the batch that is there already, if the refusal links to it."""
    links = [link for one in refusal.details for link in (*one.link, *one.links)]
    for link in (*links, *refusal.links):
        found = _BATCH_HREF.search(link.href)
        if found:
            return found.group(1)
    return None


def is_final(status: int, refusal: Refusal) -> bool:
    """Whether the same request will always be refused, and none like it was ever accepted."""
    if status not in {400, 422} or is_duplicate(refusal):
        return False
    business = refusal.name == "USER_BUSINESS_ERROR" and bool(refusal.details)
    return business or refusal.name in _FINAL_REFUSALS


def told_by(status: int, refusal: Refusal | None) -> str:
    """What PayPal said, in a line for an operator."""
    if refusal is None:
        return f"PayPal answered with HTTP {status}"
    name = refusal.name or refusal.error or "an error without a name"
    text = refusal.message or refusal.error_description
    issues = "; ".join(f"{one.field}: {one.issue}" for one in refusal.details if one.issue)
    said = f"PayPal answered {status} {name}: {text}{f' ({issues})' if issues else ''}"
    return said[:_MAX_REASON_CHARS]


def outcome_of(order: PayoutOrder, batch: Batch) -> Outcome:
    """What a batch says about its order."""
    header = batch.batch_header
    reference = header.payout_batch_id
    asked_as = header.sender_batch_header.sender_batch_id
    if asked_as and asked_as != order.key:
        return Unknown(f"PayPal's batch {reference} is of {asked_as}, not of {order.key}")
    if len(batch.items) > 1:
        return Unknown(f"PayPal's batch {reference} has {len(batch.items)} items")
    item = batch.items[0] if batch.items else Item()
    asked = item.payout_item.amount if item.payout_item is not None else None
    if asked is not None and (asked.unit, asked.cents) != (CURRENCY, order.amount_cents):
        amount = format_cents(order.amount_cents)
        return Unknown(f"PayPal's batch {reference} is not of {amount}: {asked.value} {asked.unit}")
    return _outcome_of_item(reference, header.batch_status, item)


def _outcome_of_item(reference: str, batch_status: str, item: Item) -> Outcome:
    status = item.transaction_status
    errors = item.errors
    why = f" ({errors.name}: {errors.message})"[:_MAX_REASON_CHARS] if errors else ""
    if status == "SUCCESS":
        fee = item.payout_item_fee
        return Paid(reference, fee_cents=max(fee.cents, 0) if fee is not None else 0)
    if status in _CAME_BACK:
        return Returned(f"PayPal: {status}{why}")
    if status in _NOT_PAID:
        return Failed(f"PayPal: {status}{why}")
    if status in _WAITING:
        if batch_status in _BATCH_NOT_PROCESSED:
            return Failed(f"PayPal: the batch is {batch_status}{why}")
        return Sent(reference)
    # BLOCKED among them: PayPal doesn't say whether it can still be paid, so nobody is paid again.
    return Unknown(f"PayPal: {status}{why}; find batch {reference} in the account's activity")


def records_of(rows: Iterable[ReportRow], since: datetime, until: datetime) -> list[RailRecord]:
    """The movements of [since, until) in US dollars, oldest first.

    Raises:
        ValueError: PayPal tells an amount or a time that can't be read.
    """
    found = [
        RailRecord(
            reference=info.transaction_id,
            key=info.custom_field or None,
            amount_cents=info.transaction_amount.cents,
            fee_cents=-info.fee_amount.cents if info.fee_amount is not None else 0,
            at=datetime.fromisoformat(info.transaction_initiation_date),
        )
        for info in (row.transaction_info for row in rows)
        if info.transaction_status in _BALANCE_AFFECTING
        and info.transaction_amount is not None
        and info.transaction_amount.unit == CURRENCY
    ]
    # Windows touch, so a movement on their border is told twice.
    unique = {(one.reference, one.at, one.amount_cents): one for one in found}
    return sorted(
        (one for one in unique.values() if since <= one.at < until),
        key=lambda one: (one.at, one.reference),
    )
