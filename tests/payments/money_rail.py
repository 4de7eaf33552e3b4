"""A rail that pays in books of its own and never lies, but is often silent or late."""

from collections import deque
from datetime import datetime
from typing import Literal

from openclaw_jobs.ledger import Account, Rail
from openclaw_jobs.payments.providers import (
    Failed,
    Outcome,
    Paid,
    PayoutOrder,
    Prepared,
    ProviderUnavailable,
    RailRecord,
    Returned,
    Sent,
    Unknown,
)
from openclaw_jobs.payments.providers.base import ProviderName

Fault = Literal["lost", "unheard", "late", "vague", "refused", "at_once", "as_usual"]
"""What befalls a call: the request gets lost; it gets lost and the answer is vague; it arrives and
the answer gets lost; it arrives and the answer is vague; it is refused for good; it is paid before
the answer; nothing."""
FAULTS: tuple[Fault, ...] = (
    "lost", "unheard", "late", "late", "vague", "refused", "at_once", "as_usual",
)  # fmt: skip

State = Literal["arrived", "paid", "failed", "returned"]
FEE_CENTS = 3


class HonestRail:
    """Takes each key once, whatever is sent how often.

    Attributes:
        faults: What befalls the next calls, one each.
        states: How far each key has come.
        cents: What each key is about.
    """

    def __init__(self, name: ProviderName) -> None:
        self.name: ProviderName = name
        self.rail: Rail = Account.PAYPAL if name == "paypal" else Account.USDC_SOL
        self.faults: deque[Fault] = deque()
        self.states: dict[str, State] = {}
        self.cents: dict[str, int] = {}
        self._signed: dict[str, bytes | None] = {}

    async def prepare(self, order: PayoutOrder) -> Prepared:
        if self.faults and self.faults[0] == "lost":
            self.faults.popleft()
            raise ProviderUnavailable("no way there")
        return Prepared(None, f"{order.key} of {order.amount_cents}".encode(), 7)

    async def send(self, order: PayoutOrder) -> Outcome:
        assert order.signed is not None, "only what was prepared and stored is sent"
        assert self._signed.setdefault(order.key, order.signed) == order.signed
        fault = self._fault()
        if fault == "lost":
            raise TimeoutError
        if fault == "unheard":
            return Unknown("nobody knows")
        if order.key not in self.states:
            self.cents[order.key] = order.amount_cents
            self.states[order.key] = "failed" if fault == "refused" else "arrived"
            if fault == "at_once":
                self.states[order.key] = "paid"
        assert self.cents[order.key] == order.amount_cents
        return self._answer(order.key, fault)

    async def check(self, order: PayoutOrder) -> Outcome:
        return self._answer(order.key, self._fault())

    async def records(self, since: datetime, until: datetime) -> list[RailRecord]:
        raise ProviderUnavailable(f"no records from {since} to {until}")

    def decide(self, state: Literal["paid", "failed"]) -> None:
        """What has arrived is paid, or refused for good; as a rail does when it finds the time."""
        for key, known in self.states.items():
            if known == "arrived":
                self.states[key] = state

    def give_back(self, key: str) -> None:
        """What was paid comes back."""
        assert self.states[key] == "paid"
        self.states[key] = "returned"

    def paid_cents(self, payout_id: str) -> int:
        """What has reached a payout's worker and stayed there, by all its attempts."""
        return sum(
            self.cents[key]
            for key, state in self.states.items()
            if state == "paid" and key.rpartition("-")[0] == payout_id
        )

    def _fault(self) -> Fault:
        return self.faults.popleft() if self.faults else "as_usual"

    def _answer(self, key: str, fault: Fault) -> Outcome:
        if fault in {"lost", "late"}:
            raise TimeoutError
        state = self.states.get(key)
        if fault in {"vague", "unheard"} or state is None:
            return Unknown("nobody knows")
        match state:
            case "arrived":
                return Sent(f"ref {key}")
            case "paid":
                return Paid(f"ref {key}", FEE_CENTS)
            case "failed":
                return Failed("it was refused")
            case "returned":
                return Returned("nobody claimed it")
