"""What can happen to money: each act, how often it comes, and where a process dies over it."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from openclaw_jobs.kit.failpoints import POINTS
from tests.fakes.stripe import Fault as StripeFault
from tests.payments.money_rail import FAULTS

REFUSALS = (
    "already_credited", "idempotency_conflict", "insufficient_balance", "lease_lost",
    "limit_exceeded", "not_cancellable", "not_creditable", "suspended", "unavailable",
    "wrong_state",
)  # fmt: skip
LATE: tuple[StripeFault | None, ...] = (None, None, None, "drop_before", "drop_after", 500)

Draw = Callable[[Random], Any]


def one_of(choices: Sequence[object]) -> Draw:
    return lambda chance: chance.choice(choices)


def between(least: int, most: int) -> Draw:
    return lambda chance: chance.randint(least, most)


CHANCE: Draw = lambda chance: chance  # noqa: E731 - the identity, with a name
FEW_FAULTS: Draw = lambda chance: chance.choices(FAULTS, k=chance.randint(0, 3))  # noqa: E731


class Act(NamedTuple):
    """Something that happens.

    Attributes:
        when: Whether it can happen now.
        draws: What is drawn for it; `CHANCE` lets it draw for itself.
    """

    name: str
    do: Callable[..., None]
    when: Callable[[Any], object]
    draws: dict[str, Draw]

    def __repr__(self) -> str:
        return self.name


ACTS: list[Act] = []
WEIGHTS = {
    "buyer_asks_for_a_pack": 4, "buyer_goes_to_checkout": 6, "stripe_tells": 5,
    "events_are_worked": 6, "a_card_is_refunded": 2, "a_payment_is_disputed": 2,
    "a_dispute_ends": 3, "fees_are_posted": 2, "buyer_posts_tasks": 5, "worker_claims": 8,
    "workers_submit": 12, "buyer_asks_for_credit": 3, "an_operator_decides_on_a_credit": 4,
    "earnings_ripen": 8, "worker_withdraws": 10, "an_operator_decides_on_a_payout": 10,
    "payouts_are_worked": 10, "a_rail_decides": 5, "a_request_comes_again": 4,
    "the_slow_process_goes_on": 4, "a_payout_comes_back": 6,
    "an_operator_knows_how_a_payout_ended": 4, "much_happens_at_once": 2,
}  # fmt: skip
DEATHS = {
    "buyer_asks_for_a_pack": "deposit.", "stripe_tells": "webhook.",
    "events_are_worked": "webhook.",
    "fees_are_posted": "deposit.fee", "buyer_asks_for_credit": "credit.",
    "an_operator_decides_on_a_credit": "credit.", "worker_withdraws": "withdrawal.",
    "an_operator_decides_on_a_payout": "payout.", "payouts_are_worked": "payout.",
    "the_slow_process_goes_on": "payout.",
}  # fmt: skip


def act(
    *, when: Callable[[Any], object] = lambda _: True, **draws: Draw
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let this happen in a life."""

    def note(do: Callable[..., None]) -> Callable[..., None]:
        ACTS.append(Act(do.__name__, do, when, draws))
        return do

    return note


def deaths(name: str) -> list[str]:
    """Where a process may die over an act."""
    prefix = DEATHS.get(name)
    own = [] if prefix is None else [p for p in sorted(POINTS) if p.startswith(prefix)]
    return ["transaction.written", "transaction.committed", *own]
