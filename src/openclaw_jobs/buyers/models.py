"""What the marketplace knows of a buyer."""

import msgspec


class BuyerTotals(msgspec.Struct, frozen=True):
    """Lifetime sums in cents: paid in, given, spent (less refunds), credited back."""

    deposited_cents: int
    bonus_cents: int
    spent_cents: int
    credited_cents: int


class TotalsChange(msgspec.Struct, frozen=True):
    """What a transaction adds to a buyer's lifetime sums, in cents; may be negative."""

    buyer_id: str
    deposited_cents: int = 0
    bonus_cents: int = 0
    spent_cents: int = 0
    credited_cents: int = 0
