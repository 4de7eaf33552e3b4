"""What Stripe itself recorded: its balance transactions, for reconciliation."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from openclaw_jobs.ledger import Account
from openclaw_jobs.payments.deposits.gateway import (
    StripeGateway,
    StripeRefused,
    StripeUnavailable,
)
from openclaw_jobs.payments.deposits.models import CURRENCY
from openclaw_jobs.payments.providers import ProviderUnavailable, RailRecord

if TYPE_CHECKING:
    import stripe

_NOT_MOVED: Final = frozenset(
    # Holds within the account: https://docs.stripe.com/reports/balance-transaction-types
    {"payment_failure_refund_hold", "reserve_hold", "reserve_release", "reserved_funds"}
)


class StripeRecords:
    """The balance of one account at Stripe."""

    rail: Final = Account.STRIPE

    def __init__(self, gateway: StripeGateway) -> None:
        """Reads through `gateway`."""
        self._gateway = gateway

    async def records(self, since: datetime, until: datetime) -> list[RailRecord]:
        """Every movement of the balance in [since, until).

        Raises:
            ProviderUnavailable: Stripe does not answer, or refuses.
        """
        try:
            entries = await self._gateway.balance_entries(since, until)
        except (StripeUnavailable, StripeRefused) as error:
            raise ProviderUnavailable(str(error)) from error
        return [
            record_of(entry)
            for entry in entries
            if entry.currency == CURRENCY and entry.type not in _NOT_MOVED
        ]


def record_of(entry: "stripe.BalanceTransaction") -> RailRecord:
    """A balance transaction as a movement of what it is about.

    A charge is known by the deposit that its metadata name, which we know before Stripe does, or
    by its payment; a refund by its charge.
    What Stripe takes by itself (a fee of the account, say) is about nothing but itself.
    """
    source: Any = entry.source
    source_id = source if isinstance(source, str) else getattr(source, "id", None)
    key = source_id
    if isinstance(source_id, str) and source_id.startswith(("ch_", "py_")):
        ours = _id_of(getattr(getattr(source, "metadata", None), "deposit_id", None))
        key = ours or _id_of(getattr(source, "payment_intent", None)) or source_id
    elif isinstance(source_id, str) and source_id.startswith(("re_", "pyr_")):
        key = _id_of(getattr(source, "charge", None)) or source_id
    return RailRecord(
        reference=source_id or entry.id,
        key=key or entry.id,
        amount_cents=entry.amount,
        fee_cents=entry.fee,
        at=datetime.fromtimestamp(entry.created, UTC),
    )


def _id_of(value: Any) -> str | None:  # noqa: ANN401 - an id, or the object that has it
    found = value if isinstance(value, str) else getattr(value, "id", None)
    return found if isinstance(found, str) else None
