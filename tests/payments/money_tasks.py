"""Acts of tasks, credits and earnings."""

from random import Random

from openclaw_jobs.market.cancel_task import cancel_task
from openclaw_jobs.market.credit_task import credit_task
from openclaw_jobs.market.decide_credit import decide_credit
from openclaw_jobs.market.post_task import TaskOrder, post_task
from openclaw_jobs.market.recover_leases import recover
from openclaw_jobs.market.release_earnings import release_earnings
from openclaw_jobs.market.submit_work import Submission, submit_work
from tests.payments.money_acts import CHANCE, act, between, one_of
from tests.payments.money_life import Life
from tests.payments.money_world import CATEGORIES, once


class TaskActs(Life):
    """What happens to money while it is held and paid."""

    @act(chance=CHANCE, category=one_of(sorted(CATEGORIES)), count=between(1, 3))
    def buyer_posts_tasks(self, chance: Random, category: str, count: int) -> None:
        buyer = chance.choice(self.buyers)
        order = TaskOrder(
            buyer_id=buyer,
            prompt="hello",
            messages=None,
            category=category,
            min_tier="bronze",
            max_price_cents=None,
            conversation_id=None,
            metadata=None,
        )
        for _ in range(count):
            replay = once(buyer, "POST /api/task", self.key(), category)
            self.do(lambda replay=replay: post_task(self.w.market, order, replay), again=True)  # type: ignore[misc]
        rows = self.w.sql(
            "SELECT buyer_id, id FROM tasks WHERE buyer_id = ANY(%s) ORDER BY created_at, id",
            self.buyers,
        )
        self.tasks = [(row[0], row[1]) for row in rows]

    @act(when=lambda self: self.there["queued"], chance=CHANCE, want=between(1, 4))
    def worker_claims(self, chance: Random, want: int) -> None:
        got = self.w.do(self.w.claim(chance.choice(self.workers), want))
        self.claims += got if isinstance(got, list) else []

    @act(
        when=lambda self: self.claims and self.there["claimed"],
        chance=CHANCE,
        count=between(1, 4),
        good=one_of([True, True, True, False]),
    )
    def workers_submit(self, chance: Random, count: int, *, good: bool) -> None:
        """Results of claims that may be over; the newest first, as workers do."""
        newest = self.claims[-6:]
        chosen = [chance.choice(newest) for _ in range(count)]
        work = [
            Submission(
                worker_id=claim.worker_id,
                task_id=claim.task_id,
                lease_token=claim.lease_token,
                status="completed" if good else "failed",
                result="done" if good else None,
                error=None if good else "no",
                usage=None,
            )
            for claim in chosen
        ]
        self.do(lambda: submit_work(self.w.market, work), again=True)

    @act(when=lambda self: self.tasks, chance=CHANCE)
    def buyer_cancels(self, chance: Random) -> None:
        waiting = self.w.sql(
            "SELECT buyer_id, id FROM tasks WHERE buyer_id = ANY(%s) AND status = 'queued'"
            " ORDER BY created_at, id",
            self.buyers,
        )
        buyer, task = chance.choice([*waiting, *waiting, chance.choice(self.tasks)])
        replay = once(buyer, f"POST /api/task/{task}/cancel", self.key(), None)
        self.do(lambda: cancel_task(self.w.market, buyer, task, replay), again=True)

    @act(
        when=lambda self: self.there["queued"] + self.there["claimed"],
        leases=one_of([True, False]),
        tasks=one_of([True, False]),
    )
    def what_is_overdue_is_recovered(self, *, leases: bool, tasks: bool) -> None:
        if leases:
            self.w.sql(
                "UPDATE leases SET expires_at = now() - interval '1 second'"
                " WHERE worker_id = ANY(%s)",
                self.workers,
            )
        if tasks:
            self.w.sql(
                "UPDATE tasks SET expires_at = now() - interval '1 second'"
                " WHERE status = 'queued' AND buyer_id = ANY(%s)",
                self.buyers,
            )
        self.w.do(recover(self.w.market))

    # Credits and lots

    @act(when=lambda self: self.tasks, chance=CHANCE)
    def buyer_asks_for_credit(self, chance: Random) -> None:
        done = self.w.sql(
            "SELECT buyer_id, id FROM tasks WHERE buyer_id = ANY(%s) AND status = 'completed'"
            " ORDER BY created_at, id",
            self.buyers,
        )
        buyer, task = chance.choice([*done, *done, chance.choice(self.tasks)])
        replay = once(buyer, f"POST /api/task/{task}/credit", self.key(), None)
        self.do(lambda: credit_task(self.w.market, buyer, task, "bad", replay), again=True)

    @act(when=lambda self: self.there["review"], chance=CHANCE, approve=one_of([True, False]))
    def an_operator_decides_on_a_credit(self, chance: Random, *, approve: bool) -> None:
        waiting = self.waiting_credits()
        if not waiting:
            return
        task = chance.choice(waiting)
        replay = once("operator", f"credit {task}", self.key(), approve)
        self.do(
            lambda: decide_credit(self.w.market, task, approve=approve, actor="op", replay=replay),
            again=True,
        )

    def waiting_credits(self) -> list[str]:
        return [
            row[0]
            for row in self.w.sql(
                "SELECT task_id FROM credits WHERE status = 'review' AND buyer_id = ANY(%s)"
                " ORDER BY requested_at, task_id",
                self.buyers,
            )
        ]

    @act(when=lambda self: self.there["frozen"], count=between(0, 5))
    def earnings_ripen(self, count: int) -> None:
        self.w.sql(
            "UPDATE earnings SET release_at = now() WHERE task_id IN ("
            " SELECT task_id FROM earnings WHERE status = 'frozen' AND worker_id = ANY(%s)"
            " ORDER BY created_at, task_id LIMIT %s)",
            self.workers,
            count,
        )
        self.w.do(release_earnings(self.w.market))
