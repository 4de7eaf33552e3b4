"""Random lives of a ledger against a model, with an independent auditor after every step."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from openclaw_jobs.db import Connection
from openclaw_jobs.ledger import (
    BUYER_ACCOUNTS,
    WORKER_ACCOUNTS,
    Account,
    DuplicateTransfer,
    InsufficientFunds,
    LedgerError,
    Line,
    RefundReason,
    Split,
    Transfer,
    balances,
    commission_cents,
    open_accounts,
    operator_grant,
    post,
    refund,
    settle,
    signup_bonus,
    split_charge,
    task_charge,
    unfreeze,
    verify,
)
from tests.conftest import Postgres
from tests.ledger.auditor import audit

CENTS = st.integers(min_value=0, max_value=300)
REASONS: st.SearchStrategy[RefundReason] = st.sampled_from(["cancelled", "failed", "expired"])


class Ledger(RuleBasedStateMachine):
    """The facts of a marketplace in any order, alone and in batches, with replays and refusals."""

    postgres: ClassVar[Postgres]

    def __init__(self) -> None:
        super().__init__()
        self.closing = contextlib.ExitStack()
        dsn = self.closing.enter_context(self.postgres.database())
        self.raw = self.closing.enter_context(psycopg.connect(dsn, autocommit=True))
        self.loop = self.closing.enter_context(asyncio.Runner())
        self.conn = self.loop.run(self.connect(dsn))
        self.closing.callback(lambda: self.loop.run(self.conn.close()))
        self.made = 0
        # The model: what is owed, what each task holds or earned, and what was posted.
        self.owed: dict[tuple[str, str], int] = {}
        self.charged: dict[str, tuple[str, Split]] = {}
        self.frozen: dict[str, tuple[str, int]] = {}
        self.commission = 0
        self.posted: list[Transfer] = []

    async def connect(self, dsn: str) -> Connection:
        conn: Connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        await conn.execute("SET ROLE openclaw_app")
        return conn

    def teardown(self) -> None:
        self.closing.close()

    def post(
        self, transfers: Sequence[Transfer | None], *, roll_back: bool = False
    ) -> LedgerError | None:
        """Post in one transaction; the refusal, if there was one."""
        batch = [transfer for transfer in transfers if transfer is not None]

        async def run() -> None:
            async with self.conn.transaction(force_rollback=roll_back):
                await post(self.conn, batch)

        try:
            self.loop.run(run())
        except LedgerError as refused:
            return refused
        if not roll_back:
            self.posted += batch
        return None

    def new(self, prefix: str) -> str:
        """An id that a replay of the same steps makes again."""
        self.made += 1
        return f"{prefix}_{self.made:026d}"

    def owners(self, prefix: str) -> list[str]:
        return sorted({owner for owner, _ in self.owed if owner.startswith(prefix)})

    def open(self, prefix: str, accounts: Sequence[Account]) -> str:
        owner = self.new(prefix)
        self.loop.run(open_accounts(self.conn, owner, accounts))
        self.owed |= {(owner, account.value): 0 for account in accounts}
        return owner

    @initialize()
    def begin(self) -> None:
        self.buyer_signs_up(100)
        self.worker_connects()

    @rule(bonus=CENTS)
    def buyer_signs_up(self, bonus: int) -> None:
        buyer = self.open("byr", BUYER_ACCOUNTS)
        assert self.post([signup_bonus(buyer, bonus)]) is None
        self.owed[buyer, "buyer:promo"] += bonus

    @rule()
    def worker_connects(self) -> None:
        self.open("wrk", WORKER_ACCOUNTS)

    @rule(data=st.data(), cents=CENTS, paid=st.booleans())
    def buyer_is_funded(self, data: st.DataObject, cents: int, *, paid: bool) -> None:
        buyer = data.draw(st.sampled_from(self.owners("byr")))
        ref = self.new("req")
        transfer = operator_grant(buyer, cents, ref, actor="usr_1")
        if paid and cents:
            lines = (Line(Account.STRIPE, None, cents), Line(Account.BUYER_PAID, buyer, -cents))
            transfer = Transfer(f"grant:{ref}", "operator_grant", lines)
        assert self.post([transfer]) is None
        self.owed[buyer, "buyer:paid" if paid else "buyer:promo"] += cents

    @rule(data=st.data(), prices=st.lists(CENTS, min_size=1, max_size=4))
    def buyer_posts_tasks(self, data: st.DataObject, prices: list[int]) -> None:
        buyer = data.draw(st.sampled_from(self.owners("byr")))
        for price in prices:
            held = self.loop.run(balances(self.conn, buyer))
            assert {account.value: cents for account, cents in held.items()} == {
                account: cents for (owner, account), cents in self.owed.items() if owner == buyer
            }
            split = split_charge(price, held[Account.BUYER_PROMO], held[Account.BUYER_PAID])
            assert (split is None) == (price > sum(held.values()))
            if split is None:
                continue
            task = self.new("task")
            charge = task_charge(task, buyer, split.promo_cents, split.paid_cents)
            assert self.post([charge]) is None
            self.owed[buyer, "buyer:promo"] -= split.promo_cents
            self.owed[buyer, "buyer:paid"] -= split.paid_cents
            self.charged[task] = (buyer, split)

    @rule(data=st.data(), over=st.integers(min_value=1, max_value=50))
    def buyer_overspends(self, data: st.DataObject, over: int) -> None:
        """A batch of which one line is too much does nothing, not even its good part."""
        buyer = data.draw(st.sampled_from(self.owners("byr")))
        account = data.draw(st.sampled_from((Account.BUYER_PAID, Account.BUYER_PROMO)))
        held = self.owed[buyer, account.value]
        lines = (
            Line(account, buyer, held + over),
            Line(Account.ESCROW_TASK, self.new("task"), -held - over),
        )
        good = operator_grant(self.owners("byr")[0], 1, self.new("req"))
        if self.owners("byr")[0] == buyer and account is Account.BUYER_PROMO:
            good = None
        refused = self.post([good, Transfer(f"charge:{self.new('task')}", "task_charge", lines)])
        assert isinstance(refused, InsufficientFunds)
        assert (refused.owner, refused.account, refused.balance_cents) == (buyer, account, held)

    @precondition(lambda self: self.charged)
    @rule(data=st.data(), rate_bp=st.integers(0, 10_000), roll_back=st.booleans())
    def tasks_are_settled(self, data: st.DataObject, rate_bp: int, *, roll_back: bool) -> None:
        batch: list[Transfer | None] = []
        earned: dict[str, tuple[str, int]] = {}
        commission = 0
        for task in self.draw_some(data, self.charged):
            split = self.charged[task][1]
            price = split.promo_cents + split.paid_cents
            worker = data.draw(st.sampled_from(self.owners("wrk")))
            share = commission_cents(price, rate_bp)
            batch.append(settle(task, worker, price, share))
            earned[task] = (worker, price - share)
            commission += share
        assert self.post(batch, roll_back=roll_back) is None
        if roll_back:
            return
        self.commission += commission
        self.frozen |= earned
        for task, (worker, net) in earned.items():
            del self.charged[task]
            self.owed[worker, "worker:frozen"] += net

    @precondition(lambda self: self.charged)
    @rule(data=st.data(), reason=REASONS)
    def tasks_are_refunded(self, data: st.DataObject, reason: RefundReason) -> None:
        chosen = self.draw_some(data, self.charged)
        ended = [(task, *self.charged.pop(task)) for task in chosen]
        assert (
            self.post([refund(t, b, s.promo_cents, s.paid_cents, reason) for t, b, s in ended])
            is None
        )
        for _, buyer, split in ended:
            self.owed[buyer, "buyer:promo"] += split.promo_cents
            self.owed[buyer, "buyer:paid"] += split.paid_cents

    @precondition(lambda self: self.frozen)
    @rule(data=st.data())
    def earnings_are_unfrozen(self, data: st.DataObject) -> None:
        chosen = self.draw_some(data, self.frozen)
        lots = [(task, *self.frozen.pop(task)) for task in chosen]
        assert self.post([unfreeze(task, worker, net) for task, worker, net in lots]) is None
        for _, worker, net in lots:
            self.owed[worker, "worker:frozen"] -= net
            self.owed[worker, "worker:available"] += net

    @rule(data=st.data(), over=st.integers(min_value=1, max_value=50))
    def more_is_unfrozen_than_was_earned(self, data: st.DataObject, over: int) -> None:
        worker = data.draw(st.sampled_from(self.owners("wrk")))
        held = self.owed[worker, "worker:frozen"]
        refused = self.post([unfreeze(self.new("task"), worker, held + over)])
        assert isinstance(refused, InsufficientFunds)
        assert (refused.owner, refused.account) == (worker, Account.WORKER_FROZEN)

    @precondition(lambda self: self.posted)
    @rule(data=st.data())
    def a_fact_is_replayed(self, data: st.DataObject) -> None:
        replay = data.draw(st.sampled_from(self.posted))
        good = operator_grant(self.owners("byr")[0], 5, self.new("req"))
        refused = self.post(data.draw(st.permutations([good, replay])))
        assert isinstance(refused, DuplicateTransfer)
        assert refused.key == replay.key

    @precondition(lambda self: self.posted)
    @rule(statement=st.sampled_from(["UPDATE postings SET line = 9", "DELETE FROM transfers"]))
    def history_is_attacked(self, statement: str) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            self.loop.run(self.conn.execute(statement))
        with pytest.raises(psycopg.errors.RestrictViolation):
            self.raw.execute(statement)

    def draw_some(self, data: st.DataObject, tasks: Mapping[str, object]) -> list[str]:
        chosen = st.lists(st.sampled_from(sorted(tasks)), min_size=1, max_size=5, unique=True)
        return data.draw(chosen)

    @invariant()
    def the_books_agree_with_the_model(self) -> None:
        found = audit(self.raw)
        assert found.balances == self.owed
        held = {task: s.promo_cents + s.paid_cents for task, (_, s) in self.charged.items()}
        # A task that has ended holds nothing; one that has not holds its price.
        assert found.escrow == {task: cents for task, cents in held.items() if cents}
        assert found.platform.get("commission", 0) == -self.commission
        assert found.keys == {transfer.key for transfer in self.posted}
        given: dict[str, int] = defaultdict(int)
        for transfer in self.posted:
            for line in transfer.lines:
                if line.account in {Account.EXPENSE_PROMO, Account.STRIPE}:
                    given[line.account.value] += line.amount_cents
        assert {a: c for a, c in found.platform.items() if a != "commission"} == given

    @invariant()
    def the_proof_agrees_with_the_auditor(self) -> None:
        proof = self.loop.run(verify(self.conn))
        assert proof.ok, proof.violations
        assert (proof.sum_cents, proof.transactions) == (0, len(self.posted))
        assert proof.entries == sum(len(transfer.lines) for transfer in self.posted)


def test_any_life_of_a_ledger_adds_up(postgres: Postgres) -> None:
    Ledger.postgres = postgres
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
