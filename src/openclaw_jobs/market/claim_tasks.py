"""One round of matching: pick tasks for seekers, and put them into their hands."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from openclaw_jobs.dispatch import rules
from openclaw_jobs.dispatch.commits import Written
from openclaw_jobs.dispatch.models import (
    Assignment,
    Candidate,
    Claim,
    ClaimRequest,
    ClaimResult,
    Facts,
    Lane,
    NewClaim,
    Seeker,
    Suspended,
)
from openclaw_jobs.dispatch.store import claims as store
from openclaw_jobs.dispatch.store import leases
from openclaw_jobs.economy import Config, commission_bp
from openclaw_jobs.economy import Tier as EconomyTier
from openclaw_jobs.kit.metrics import bounded
from openclaw_jobs.kit.tokens import hash_token, new_token
from openclaw_jobs.kit.traceparent import fresh
from openclaw_jobs.ledger import commission_cents
from openclaw_jobs.market import store_traces
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Unit, begin
from openclaw_jobs.workers import TIERS, Tier
from openclaw_jobs.workers.rules import effective_standing, tier_rank

_MAX_PAGES: Final = 5
_PAGE: Final = 200
_MAX_PROPOSALS: Final = 10
_HEAD: Final = (-(2**62), "")


def earning_cents(config: Config, price_cents: int, tier: Tier) -> int:
    """What a worker of this tier gets for a task of this price, after commission."""
    rate_bp = commission_bp(config.commissions, EconomyTier(tier))
    return price_cents - commission_cents(price_cents, rate_bp)


async def claim_tasks(
    market: Market, request: ClaimRequest, written: Written | None = None
) -> ClaimResult:
    """Match the seekers of `request` with queued tasks, in one transaction.

    The tasks are locked as they are read, and a worker's limits are counted under a lock of its
    own, so that neither a task nor a worker's last free place is given away twice, by whatever
    number of processes. `written` is called with what is to be committed, if that is anything.
    """
    async with begin(market, pipelined=True) as unit:
        result = await _Round(market, unit, request).run()
        if written is not None and result.assignments:
            written(result)
    _count(market, result.assignments)
    return result


def _count(market: Market, assignments: Sequence[Assignment]) -> None:
    """Count what was committed."""
    known = market.config.pricing.base_cents
    for assignment in assignments:
        market.metrics.claims.labels(bounded(assignment.claim.category, known)).inc()


class _Round:
    """The state of one round."""

    def __init__(self, market: Market, unit: Unit, request: ClaimRequest) -> None:
        self._market = market
        self._unit = unit
        self._request = request
        self._config = market.config
        self._facts: dict[str, Facts] = {}
        self._room: dict[str, int] = {}
        self._places: dict[Lane, tuple[int, str] | None] = dict(request.lanes)
        self._left = True

    async def run(self) -> ClaimResult:
        pool: dict[str, Candidate] = {}
        pairs: list[tuple[Candidate, Seeker]] = []
        open_lanes = list(self._request.lanes)
        for page in range(_MAX_PAGES):
            # The first page is what could be handed out, so that no more is locked than needed.
            limit = self._request.limit if page == 0 else _PAGE
            likely = await self._ask(self._likely()) if page == 0 else None
            found, open_lanes = await self._read(open_lanes, limit)
            if likely is not None:
                await likely()
            pool.update((candidate.task_id, candidate) for candidate in found)
            pairs = await self._propose(pool)
            if not open_lanes or len(pairs) >= self._request.limit or not self._somebody_left():
                break
        served = [pair for pair in pairs if not pair[1].gone]
        # Whether any task is left is only asked when none was seen to be.
        unseen = not open_lanes and len(served) == len(pool)
        assignments = await self._write(served, see_left=unseen)
        if not pool:
            self._left = await store.any_queued(self._unit.conn)
        suspended, blocked = self._kept_out()
        return ClaimResult(
            assignments=assignments,
            suspended=suspended,
            blocked=blocked,
            lanes={lane: self._places[lane] for lane in self._request.lanes}
            | {lane: None for lane in self._request.lanes if lane not in open_lanes},
            more=len(pairs) >= self._request.limit,
            empty=not self._left,
        )

    async def _read(self, lanes: Sequence[Lane], limit: int) -> tuple[list[Candidate], list[Lane]]:
        """The next candidates of each lane, and the lanes that may have more."""
        best = max((tier_rank(c.tier) for c in self._request.classes), default=0)
        found: dict[Lane, list[Candidate]] = defaultdict(list)
        if None in lanes:
            after = self._places[None] or _HEAD
            found[None] = await store.select_any(self._unit.conn, after, limit, best)
        named = [lane for lane in lanes if lane is not None]
        if named:
            places = [(lane, *(self._places[lane] or _HEAD)) for lane in named]
            for candidate in await store.select_by_category(self._unit.conn, places, limit, best):
                found[candidate.category].append(candidate)
        for lane, candidates in found.items():
            if candidates:
                self._places[lane] = (candidates[-1].queue_rank, candidates[-1].task_id)
        still_open = [lane for lane in lanes if len(found[lane]) >= limit]
        return [candidate for each in found.values() for candidate in each], still_open

    async def _propose(self, pool: Mapping[str, Candidate]) -> list[tuple[Candidate, Seeker]]:
        """Pairs that hold by what the database says of the workers in them."""
        candidates = sorted(pool.values(), key=lambda c: (c.queue_rank, c.task_id))
        fairness = self._config.dispatch.fairness_percent
        pairs: list[tuple[Candidate, Seeker]] = []
        for _ in range(_MAX_PROPOSALS):
            pairs = rules.propose(
                candidates,
                self._request.classes,
                self._facts,
                self._room,
                lambda price, tier: earning_cents(self._config, price, tier),
                lambda: self._market.rng.random() * 100 < fairness,
            )[: self._request.limit]
            unknown = {s.worker.worker_id for _, s in pairs} - self._room.keys()
            if not unknown:
                return pairs
            await (await self._ask(list(unknown)))()
        return [pair for pair in pairs if pair[1].worker.worker_id in self._facts]

    def _likely(self) -> list[str]:
        """The workers whose turn it is, asked for together with the tasks: a round trip less."""
        workers: list[str] = []
        for one in sorted(self._request.classes, key=lambda c: -tier_rank(c.tier)):
            waiting = (s for s in one.seekers() if not s.gone)
            workers += (s.worker.worker_id for s in islice(waiting, self._request.expected))
        return list(dict.fromkeys(workers))[: self._request.expected]

    async def _ask(self, worker_ids: Sequence[str]) -> Callable[[], Awaitable[None]]:
        """Ask the database about workers; what is returned waits for the answer."""
        now = self._unit.now
        answer = await store.ask_workers(
            self._unit.conn,
            sorted(worker_ids),
            now.astimezone(UTC).date(),
            by_network=self._config.quality.separate_by_address,
            by_owner=self._config.abuse.separate_own_workers,
        )

        async def learn() -> None:
            # Who is being served elsewhere now gets nothing here; the tick asks again.
            self._room.update(dict.fromkeys(worker_ids, 0))
            for fact in await answer():
                self._facts[fact.worker_id] = fact
                self._room[fact.worker_id] = rules.capacity(fact, now, self._config.abuse)

        return learn

    def _somebody_left(self) -> bool:
        return any(
            not s.gone and self._room.get(s.worker.worker_id, 1) > 0
            for c in self._request.classes
            for s in c.seekers()
        )

    async def _write(
        self, pairs: Sequence[tuple[Candidate, Seeker]], *, see_left: bool
    ) -> list[Assignment]:
        if not pairs:
            return []
        lease_seconds = self._config.dispatch.lease_seconds
        rates = {t: commission_bp(self._config.commissions, EconomyTier(t)) for t in TIERS}
        by_task: dict[str, tuple[Candidate, Seeker, str, int]] = {}
        rows: list[NewClaim] = []
        for candidate, seeker in pairs:
            worker_id = seeker.worker.worker_id
            tier = self._facts[worker_id].tier
            earning = candidate.price_cents - commission_cents(candidate.price_cents, rates[tier])
            token = new_token("lease")
            by_task[candidate.task_id] = (candidate, seeker, token, earning)
            rows.append(
                NewClaim(
                    candidate.task_id,
                    worker_id,
                    hash_token(token),
                    rates[tier],
                    earning,
                    candidate.lineage,
                )
            )
        claimed, self._left = await store.write_claims(
            self._unit.conn, rows, lease_seconds, see_left=see_left
        )
        written = {row[0]: row for row in claimed}
        traces = await self._traces(list(written))
        assignments: list[Assignment] = []
        # In the queue's order, which a worker that gets several may trust.
        for task_id, (candidate, seeker, token, earning) in by_task.items():
            if task_id not in written:
                continue
            _, attempt, expires_at, buyer_id, prompt, messages, posted_at = written[task_id]
            claim = Claim(
                task_id=task_id,
                worker_id=seeker.worker.worker_id,
                lease_token=token,
                lease_expires_at=expires_at,
                lease_seconds=lease_seconds,
                category=candidate.category,
                prompt=prompt,
                messages=messages,
                earning_cents=earning,
                attempt=attempt,
                queued_at=self._queued_at(posted_at) if attempt == 1 else None,
                traceparent=traces.get(task_id),
            )
            assignments.append(Assignment(seeker, claim))
            self._unit.tell(buyer_id, "task.claimed", task_id, status="claimed")
            self._unit.paid_claims += buyer_id is not None
        return assignments

    async def _traces(self, task_ids: Sequence[str]) -> dict[str, str]:
        """Where each task goes on in a trace, with tracing on.

        A task that has no trace of its own, as a hidden one, begins one: a worker sees no
        difference.
        """
        if not self._market.tracing.on:
            return {}
        kept = await store_traces.select_traces(self._unit.conn, task_ids)
        return {task_id: str(kept.get(task_id) or fresh()) for task_id in task_ids}

    def _queued_at(self, posted_at: datetime) -> float:
        """When that was, by this process's monotonic clock."""
        waited = self._market.clock.now() - posted_at
        return self._market.monotonic() - max(0.0, waited.total_seconds())

    def _kept_out(self) -> tuple[list[Suspended], list[Seeker]]:
        suspended: list[Suspended] = []
        blocked: list[Seeker] = []
        full = {worker_id for worker_id, room in self._room.items() if room == 0}
        if full:
            for seeker in (s for c in self._request.classes for s in c.seekers()):
                worker_id = seeker.worker.worker_id
                if seeker.gone or worker_id not in full:
                    continue
                fact = self._facts.get(worker_id)
                if fact is not None and _is_kept_out(fact, self._unit):
                    suspended.append(Suspended(seeker, fact.suspended_until))
                elif fact is not None:
                    blocked.append(seeker)
        return suspended, blocked


def _is_kept_out(fact: Facts, unit: Unit) -> bool:
    return effective_standing(fact.standing, fact.suspended_until, unit.now) != "active"


async def give_back(market: Market, claims: Sequence[Claim]) -> None:
    """Put tasks back that were claimed for a poll that had hung up: nobody ever saw them."""
    async with begin(market) as unit:
        for category, buyer_id, task_id in await leases.undo_claims(
            unit.conn, [c.task_id for c in claims], [hash_token(c.lease_token) for c in claims]
        ):
            unit.tell(buyer_id, "task.queued", task_id, status="queued")
            unit.queue(category)
    market.metrics.given_back.inc(len(claims))


async def any_queued(market: Market) -> bool:
    """Whether any task waits at all: what an idle process asks once a second."""
    async with market.db.read() as conn:
        return await store.any_queued(conn)
