"""A marketplace for the test of all money: its use cases, its Stripe, its rails, its auditor.

One database, pool, event loop and Stripe serve many lives, each with parties of its own. What only
time could do is done by SQL. Every act goes through `do`, where the process may be told to die.
"""

import asyncio
import contextlib
import hashlib
import json
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast
from unittest import mock

import msgspec
import psycopg

from openclaw_jobs.app import open_market, prepare_database
from openclaw_jobs.dispatch.models import Claim, ClaimRequest, SeekerClass
from openclaw_jobs.kit import failpoints
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.idempotency import Replayed, ReplayKey, StoredAnswer
from openclaw_jobs.market.change_config import change_config
from openclaw_jobs.market.claim_tasks import claim_tasks
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.decide_payout import Providers
from openclaw_jobs.market.prove_ledger import prove_ledger
from openclaw_jobs.market.take_webhook import take_stripe_event
from openclaw_jobs.market.unit import Replay
from openclaw_jobs.payments.deposits import DepositDesk, gateway, open_desk
from openclaw_jobs.payments.providers.manual import ManualProvider
from openclaw_jobs.settings import Settings
from openclaw_jobs.workers import Preferences, WorkerIdentity
from tests.conftest import Postgres
from tests.fakes.stripe import SECRET_KEY, WEBHOOK_SECRET, Object, StripeFake, sign
from tests.payments.money_auditor import Auditor
from tests.payments.money_rail import HonestRail

T = TypeVar("T")

CATEGORIES = {"general": 7, "coding": 100, "data": 333, "research": 1_000}
"""What a task of each costs, in cents."""


class DiedError(BaseException):
    """The process ends here: nothing in it catches this."""


class Seeker(msgspec.Struct, frozen=True):
    """A worker that wants tasks now."""

    worker: WorkerIdentity
    want: int
    arrival: int = 1
    gone: bool = False


class World:
    """See the module."""

    def __init__(self, postgres: Postgres) -> None:
        self.steps = 0
        self.deaths = 0
        self.whole = True
        """False while an act is under way or its audit has not passed."""
        self._closing = contextlib.ExitStack()
        dsn = self._closing.enter_context(postgres.database())
        self.raw = self._closing.enter_context(psycopg.connect(dsn, autocommit=True))
        self.loop = self._closing.enter_context(asyncio.Runner())
        self._parts = contextlib.AsyncExitStack()
        self.market, self.desk = self.loop.run(self._open(dsn))
        self._closing.callback(lambda: self.loop.run(self._parts.aclose()))
        self.rails = (HonestRail("paypal"), HonestRail("solana"))
        self.providers = cast(
            "Providers", {rail.name: rail for rail in (*self.rails, ManualProvider())}
        )
        self.auditor = Auditor(self.raw)

    async def _open(self, dsn: str) -> tuple[Market, DepositDesk]:
        # A lost answer is asked for again by the next rule, not after the SDK's pauses.
        self._closing.enter_context(mock.patch.object(gateway, "_RETRIES", 0))
        self.stripe = StripeFake()
        await self._parts.enter_async_context(self.stripe)
        chosen = Settings(db_pool_min_size=1, db_pool_max_size=8)
        await prepare_database(chosen, dsn)
        market = await self._parts.enter_async_context(open_market(chosen, dsn))
        # The same choices make the same life.
        market = Market(
            market.db,
            market.configuration,
            market.bus,
            market.clock,
            random.Random(7),  # noqa: S311
        )
        desk = await self._parts.enter_async_context(
            open_desk(
                secret_key=SECRET_KEY,
                webhook_secret=WEBHOOK_SECRET,
                api_base=self.stripe.url,
                prices={},
                public_url="https://jobs.example",
            )
        )
        for key, fields in CONFIGURATION.items():
            await change_config(market, key, fields, None, "test")
        return market, desk

    def close(self) -> None:
        """End everything."""
        failpoints.arm(None)
        self._closing.close()

    @staticmethod
    async def attempt(act: Coroutine[Any, Any, T]) -> T | Problem | Replayed:
        """Do one thing; its refusal, or the answer that it got before."""
        try:
            return await act
        except (Problem, Replayed) as answer:
            return answer

    def do(self, act: Coroutine[Any, Any, T]) -> T | Problem | Replayed | None:
        """Do one thing; its refusal, or the answer that it got before. None if it died."""
        self.whole = False
        try:
            return self.loop.run(self.attempt(act))
        except DiedError:
            self.deaths += 1
            return None
        finally:
            failpoints.arm(None)

    @staticmethod
    def die_at(point: str, after: int) -> None:
        """Have the next act die where it comes by `point` for the time after `after` times."""
        left = [after]

        def act() -> None:
            left[0] -= 1
            if left[0] < 0:
                raise DiedError

        failpoints.arm(point, act)

    def sql(self, statement: str, *values: object, **named: object) -> list[tuple[Any, ...]]:
        """Do what only time could do, or look."""
        cursor = self.raw.execute(statement, named or values)
        return cursor.fetchall() if cursor.description else []

    def refused(self, answer: object, *codes: str) -> bool:
        """Whether an act was refused; for one of these reasons, or something is wrong."""
        if isinstance(answer, Problem):
            assert answer.code in codes, (answer.code, answer.detail)
        return isinstance(answer, Problem)

    async def claim(self, worker_id: str, want: int) -> list[Claim]:
        """Claim tasks for one worker, as the matcher does."""
        preferences = Preferences(max_concurrent=1000)
        identity = WorkerIdentity(
            worker_id=worker_id,
            tier="bronze",
            standing="active",
            suspended_until=None,
            preferences=preferences,
            schedule=None,
        )
        seekers = [Seeker(identity, want)]
        request = ClaimRequest(
            lanes={None: None},
            limit=want,
            classes=[SeekerClass("bronze", preferences, lambda: iter(seekers))],
        )
        found = await claim_tasks(self.market, request)
        return [assignment.claim for assignment in found.assignments]

    async def tell(self, event: Object) -> None:
        """Deliver an event of Stripe's, signed."""
        payload = json.dumps(event).encode()
        await take_stripe_event(self.market, self.desk, payload, sign(payload, WEBHOOK_SECRET))

    async def together(self, acts: list[Awaitable[None]]) -> None:
        """Do several things at once; if one dies, after the others have come to their ends."""
        for outcome in await asyncio.gather(*acts, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def kinds(self) -> set[str]:
        """Which facts this world has seen."""
        return {row[0] for row in self.sql("SELECT DISTINCT kind FROM transfers")}

    def prove(self) -> None:
        """The product's own proof."""
        proof = self.loop.run(prove_ledger(self.market))
        assert proof.ok, proof.violations


def once(caller: str, route: str, key: str, body: object) -> Replay[Any]:
    """How a request with an `Idempotency-Key` is answered again."""

    def answer(value: object) -> StoredAnswer:
        return StoredAnswer(status=200, headers={}, content=repr(value))

    def refusal(problem: Problem) -> StoredAnswer:
        return StoredAnswer(status=problem.status, headers={}, content=problem.code)

    digest = hashlib.sha256(repr(body).encode()).digest()
    return Replay(ReplayKey(caller=caller, route=route, key=key, body_hash=digest), answer, refusal)


Request = Callable[[], Coroutine[Any, Any, Any]]

CONFIGURATION: dict[str, dict[str, Any]] = {
    "pricing": {
        "base_cents": {"default": 1, **CATEGORIES},
        "per_1000_chars_cents": 0,
        "min_cents": 1,
    },
    "commissions": {
        "min_withdrawal_cents": 1,
        "daily_withdrawal_limit_cents": 1_000_000,
        "require_verified_email": False,
        "auto_approve_under_cents": 150,
        "freeze_window_hours": 24,
    },
    "dispatch": {"max_attempts": 2, "strikes": 100, "fairness_percent": 0},
    # A buyer with four results gets every third credited unseen, and must ask for the others.
    "quality": {"auto_credit_min_tasks": 4, "auto_credit_rate": 0.34},
}
