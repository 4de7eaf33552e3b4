"""An auditor of all money that shares nothing with the package: its own SQL, its own arithmetic.

It reads raw rows and knows double entry, the signs of the accounts and the states of tasks, lots,
payouts and deposits from the design. The ledger is append-only, so it keeps what it has read of it
and folds in only what is new; that nothing old has changed is seen by the count and the sum.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg

OWED_TO_US = {"receivable:buyer", "receivable:worker"}
OURS = {"stripe", "bank", "paypal", "usdc_sol", "dispute_receivable"}
OWED_BY_US = {"buyer:paid", "buyer:promo", "escrow:task", "worker:frozen", "worker:available",
              "payout", "dispute_hold"}  # fmt: skip
RESULTS = {"commission", "owner"}
KEPT = {"buyer:paid", "buyer:promo", "worker:frozen", "worker:available", *OWED_TO_US}
LIVE = {"pending", "approved", "submitting", "submitted", "unknown"}
SETTLED = {"completed", "credited", "credit_review"}
REFUNDED = {"cancelled", "failed", "expired"}

Row = tuple[Any, ...]


class Fact(NamedTuple):
    """A transfer: debits less credits by (account, owner)."""

    key: str
    kind: str
    moves: dict[tuple[str, str | None], int]

    def on(self, *accounts: str) -> int:
        """What it moved on these accounts; debits are positive."""
        return sum(cents for (account, _), cents in self.moves.items() if account in accounts)


class Auditor:
    """One ledger, read from its beginning; `parties` are whose rows each audit reads."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self.conn = conn
        self.parties: list[str] = []
        self.held: dict[tuple[str, str | None], int] = defaultdict(int)
        self.facts: dict[str, list[Fact]] = defaultdict(list)
        self.by_key: dict[str, Fact] = {}
        self.owned: dict[str, list[Fact]] = defaultdict(list)
        self._read: set[object] = set()
        self._mark: object = "-infinity"
        self._postings = 0

    def watch(self, *parties: str) -> None:
        """Audit the rows of these from now on, and of nobody else."""
        self.parties = list(parties)

    def balance(self, account: str, owner: str | None = None) -> int:
        """Debits less credits, as of the last audit."""
        return self.held.get((account, owner), 0)

    def audit(self) -> None:
        """Check everything; an AssertionError says what does not add up."""
        with self.conn.transaction():
            self.conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._fold()
            self._trial_balance()
            self._floors_and_balances()
            self._tasks()
            self._hidden()
            self._lots()
            self._payouts()
            self._deposits()
            self._disputes()
            self._totals()

    def _rows(self, query: str, *values: object) -> list[Row]:
        return self.conn.execute(query, values).fetchall()

    def _fold(self) -> None:
        now = self._rows("SELECT now()")[0][0]
        transfers = self._rows(
            "SELECT id, key, kind, posting_count FROM transfers WHERE created_at >= %s", self._mark
        )
        fresh = {row[0]: row[1:] for row in transfers if row[0] not in self._read}
        lines: dict[object, list[Row]] = defaultdict(list)
        for row in self._rows(
            "SELECT transfer_id, line, account, owner, amount_cents FROM postings"
            " WHERE transfer_id = ANY(%s) ORDER BY transfer_id, line",
            list(fresh),
        ):
            lines[row[0]].append(row)
        for transfer_id, (key, kind, count) in fresh.items():
            own = lines[transfer_id]
            assert [row[1] for row in own] == list(range(1, count + 1)), f"{key} is not whole"
            moves: dict[tuple[str, str | None], int] = defaultdict(int)
            for _, _, account, owner, cents in own:
                assert cents, f"{key} has a posting of nothing"
                moves[account, owner] += cents
            assert sum(moves.values()) == 0, f"{key} sums to {sum(moves.values())}"
            self._take(Fact(key, kind, dict(moves)), len(own))
        self._read.update(fresh)
        self._mark = now

    def _take(self, fact: Fact, lines: int) -> None:
        assert fact.key not in self.by_key, f"{fact.key} is twice in the ledger"
        self.by_key[fact.key] = fact
        self.facts[fact.kind].append(fact)
        for (account, owner), cents in fact.moves.items():
            self.held[account, owner] += cents
            own = self.owned[owner or ""]
            if not own or own[-1] is not fact:
                own.append(fact)
        self._postings += lines

    def _trial_balance(self) -> None:
        found: dict[str, int] = dict(
            self._rows("SELECT account, sum(amount_cents)::bigint FROM postings GROUP BY 1")
        )
        ours: dict[str, int] = defaultdict(int)
        for (account, _), cents in self.held.items():
            ours[account] += cents
        assert found == ours, "the ledger is not what was read of it"
        assert self._rows("SELECT count(*) FROM postings") == [(self._postings,)]
        unknown = {
            account
            for account in found
            if account not in OURS | OWED_TO_US | OWED_BY_US | RESULTS
            and not account.startswith("expense:")
        }
        assert not unknown, f"nobody knows the accounts {unknown}"
        assets = sum(cents for account, cents in found.items() if account in OURS | OWED_TO_US)
        debts = -sum(cents for account, cents in found.items() if account in OWED_BY_US)
        result = -sum(
            cents
            for account, cents in found.items()
            if account in RESULTS or account.startswith("expense:")
        )
        assert assets == debts + result, f"the trial balance is out: {assets} {debts} {result}"

    def _floors_and_balances(self) -> None:
        for (account, owner), cents in self.held.items():
            if account in OWED_TO_US:
                assert cents >= 0, f"{owner} owes {cents} on {account}"
            elif account in OWED_BY_US:
                assert cents <= 0, f"{account} of {owner} is below zero: {-cents}"
        for owner, account, kept in self._rows(
            "SELECT owner, account, balance_cents FROM balances WHERE owner = ANY(%s)", self.parties
        ):
            cents = self.held.get((account, owner), 0)
            said = cents if account in OWED_TO_US else -cents
            assert kept == said, f"{account} of {owner} is kept as {kept}, posted as {said}"

    def _fact(self, kind: str, subject: str) -> Fact | None:
        """The one fact of a kind about a task or payout."""
        found = [f for f in self.owned[subject] if f.kind == kind]
        assert len(found) <= 1, f"{subject} has {len(found)} times {kind}"
        return found[0] if found else None

    def _tasks(self) -> None:
        for task_id, status, price, promo, credited in self._rows(
            "SELECT id, status, price_cents, promo_cents, credited_cents FROM tasks"
            " WHERE buyer_id = ANY(%s)",
            self.parties,
        ):
            named = f"task {task_id} ({status})"
            held = -self.held.get(("escrow:task", task_id), 0)
            wanted = price if status in {"queued", "claimed"} else 0
            assert held == wanted, f"{named} holds {held}, not {wanted}"
            charge = self._fact("task_charge", task_id)
            assert charge is not None, f"{named} was never charged"
            split = (charge.on("buyer:promo"), charge.on("buyer:paid"))
            assert split == (promo, price - promo), f"{named} was charged {split}"
            settle = self._fact("settle", task_id)
            refunds = [f for f in self.owned[task_id] if f.kind.startswith("refund_")]
            assert (settle is not None) == (status in SETTLED), f"{named} is settled: {settle}"
            assert len(refunds) == (status in REFUNDED), f"{named} has the refunds {refunds}"
            back = [*refunds, *([self.by_key[f"credit:{task_id}"]] if status == "credited" else [])]
            for fact in back:
                given = (-fact.on("buyer:promo"), -fact.on("buyer:paid"))
                assert given == split, f"{named} gave {given} back of {split}"
            assert (f"credit:{task_id}" in self.by_key) == (status == "credited"), named
            assert credited == (price if status == "credited" else 0), named
            if settle is not None:
                whole = -settle.on("commission") - settle.on("worker:frozen")
                assert whole == price, f"{named}: commission and net are {whole} of {price}"

    def _hidden(self) -> None:
        """The platform's own tasks: paid by it, and by nobody else, as those of buyers are."""
        for task_id, status, price in self._rows(
            "SELECT id, status, price_cents FROM tasks WHERE buyer_id IS NULL"
        ):
            named = f"hidden task {task_id} ({status})"
            held = -self.held.get(("escrow:task", task_id), 0)
            assert held == (price if status in {"queued", "claimed"} else 0), f"{named}: {held}"
            kinds = {f"{fact}:{task_id}" for fact in ("charge", "settle", "refund", "credit")}
            facts = {self.by_key[key].kind: self.by_key[key] for key in kinds & set(self.by_key)}
            wanted = {"check_charge"}
            wanted |= {"settle"} if status in SETTLED else set()
            wanted |= {"check_refund"} if status in REFUNDED else set()
            wanted |= {"check_clawback"} if status == "credited" else set()
            assert set(facts) == wanted, f"{named} has the facts {set(facts)}"
            cost = sum(fact.on("expense:quality") for fact in facts.values())
            free = status in REFUNDED or status == "credited"
            assert cost == (0 if free else price), f"{named} costs {cost} of {price}"

    def _lots(self) -> None:
        sums: dict[tuple[str, str], int] = defaultdict(int)
        withdrawn: dict[str, int] = dict(
            self._rows(
                "SELECT l.task_id, sum(l.cents)::bigint FROM payout_lots l JOIN payouts p"
                " ON p.id = l.payout_id WHERE p.worker_id = ANY(%s)"
                " AND p.status NOT IN ('failed', 'rejected', 'returned') GROUP BY 1",
                self.parties,
            )
        )
        for task_id, worker, gross, fee, net, status, free, gone, clawed in self._rows(
            "SELECT task_id, worker_id, gross_cents, commission_cents, net_cents, status,"
            " available_cents, withdrawn_cents, clawed_cents FROM earnings"
            " WHERE worker_id = ANY(%s)",
            self.parties,
        ):
            named = f"the lot of {task_id} ({status})"
            settle = self.by_key[f"settle:{task_id}"]
            assert settle.moves.get(("worker:frozen", worker), 0) == -net, named
            assert (gross, fee) == (net + fee, -settle.on("commission")), named
            frozen = net if status == "frozen" else 0
            assert min(frozen, free, gone, clawed) >= 0, named
            assert frozen + free + clawed + gone == net, f"{named}: {frozen} {free} {clawed} {gone}"
            assert gone == withdrawn.get(task_id, 0), f"{named}: payouts took {withdrawn}"
            assert (f"unfreeze:{task_id}" in self.by_key) <= (status != "frozen"), named
            credit = self.by_key.get(f"credit:{task_id}")
            assert (credit is not None) == (status == "credited"), named
            if credit is not None:
                assert credit.on("commission") == fee, f"{named} keeps a commission"
            sums[worker, "worker:frozen"] += frozen
            sums[worker, "worker:available"] += free
            sums[worker, "clawed"] += clawed
        for worker in (party for party in self.parties if party.startswith("wrk_")):
            for account in ("worker:frozen", "worker:available"):
                held = -self.held.get((account, worker), 0)
                assert sums[worker, account] == held, f"{worker}: lots {sums}, {account} {held}"
            taken = sum(self._clawed(fact, worker) for fact in self.owned[worker])
            assert sums[worker, "clawed"] == taken, f"{worker}: {sums}, but {taken} was clawed back"

    @staticmethod
    def _clawed(fact: Fact, worker: str) -> int:
        """What a fact took of a worker's lots for good: by a credit, or to repay a debt."""
        if fact.kind in {"credit", "check_clawback"}:
            return sum(
                cents
                for (account, owner), cents in fact.moves.items()
                if owner == worker and account != "receivable:worker"
            )
        if fact.kind == "check_restore":
            return fact.moves.get(("worker:available", worker), 0)
        return -fact.moves.get(("receivable:worker", worker), 0)

    def _payouts(self) -> None:
        parts = {
            row[0]: (int(row[1]), row[2])
            for row in self._rows(
                "SELECT p.id, coalesce((SELECT sum(cents) FROM payout_lots WHERE payout_id = p.id),"
                " 0), (SELECT count(*) FROM payout_attempts a WHERE a.payout_id = p.id"
                " AND a.status IN ('started', 'sent', 'paid'))"
                " FROM payouts p WHERE p.worker_id = ANY(%s)",
                self.parties,
            )
        }
        for payout, worker, status, amount, fee in self._rows(
            "SELECT id, worker_id, status, amount_cents, fee_cents FROM payouts"
            " WHERE worker_id = ANY(%s)",
            self.parties,
        ):
            named = f"payout {payout} ({status})"
            held = -self.held.get(("payout", payout), 0)
            assert held == (amount if status in LIVE else 0), f"{named} holds {held} of {amount}"
            made, attempts = parts[payout]
            assert made == amount, f"{named} of {amount} is made of {made}"
            assert attempts <= 1, f"{named} has {attempts} attempts that may be paid"
            paid = self._fact("payout_paid", payout)
            assert (paid is not None) == (status in {"paid", "returned"}), named
            assert paid is None or paid.on("payout") == amount, named
            back = self.by_key.get(f"payout_returned:{payout}")
            assert (back is not None) == (status == "returned"), named
            if back is not None:
                own = back.moves.get(("worker:available", worker), 0)
                own += back.moves.get(("receivable:worker", worker), 0)
                assert own == -amount, f"{named}: {own} of {amount} came back"
            charged = self.by_key.get(f"payout_fee:{payout}")
            assert (0 if charged is None else charged.on("expense:payout_fee")) == fee, named

    def _deposits(self) -> None:
        for deposit, buyer, cents, bonus, status, session, charge, fee, refunded in self._rows(
            "SELECT id, buyer_id, cents, bonus_cents, status, session_id, charge_id, fee_cents,"
            " refunded_cents FROM deposits WHERE buyer_id = ANY(%s)",
            self.parties,
        ):
            named = f"deposit {deposit} ({status})"
            paid = self.by_key.get(f"deposit:{session}")
            assert (paid is not None) == (status == "paid"), named
            given = self.by_key.get(f"pack_bonus:{session}")
            assert (0 if given is None else given.on("expense:promo")) == (
                bonus if status == "paid" else 0
            ), named
            if paid is not None:
                assert paid.on("stripe") == cents, named
                own = paid.moves.get(("buyer:paid", buyer), 0)
                own += paid.moves.get(("receivable:buyer", buyer), 0)
                assert own == -cents, f"{named} gave {buyer} {own}"
            kept = self.by_key.get(f"deposit_fee:{session}")
            assert (0 if kept is None else kept.on("expense:stripe_fee")) == (fee or 0), named
            gone = -sum(
                fact.on("stripe")
                for fact in self.facts["card_refund"]
                if fact.key.split(":")[1] == charge
            )
            assert gone == refunded, f"{named}: {refunded} was refunded, {gone} in the ledger"

    def _disputes(self) -> None:
        hold = -self.held.get(("dispute_hold", None), 0)
        assert hold == self.held.get(("dispute_receivable", None), 0), "disputes are out"
        told = self._rows(
            "SELECT coalesce(sum(cents), 0)::bigint FROM disputes WHERE status = 'open'"
        )
        assert told == [(hold,)], f"open disputes are of {told}, {hold} is set aside"
        for dispute, cents, fee, status in self._rows(
            "SELECT id, cents, fee_cents, status FROM disputes WHERE buyer_id = ANY(%s)",
            self.parties,
        ):
            opened = self.by_key[f"dispute_opened:{dispute}"]
            assert (opened.on("stripe"), opened.on("expense:dispute")) == (-cents - fee, fee)
            ended = {end for end in ("won", "lost") if f"dispute_{end}:{dispute}" in self.by_key}
            assert ended == {status} - {"open"}, f"dispute {dispute} is {status}, not {ended}"
            if ended == {"won"}:
                won = self.by_key[f"dispute_won:{dispute}"]
                assert won.on("dispute_hold") == cents, f"dispute {dispute} gave {won} back"

    def _totals(self) -> None:
        for buyer, deposited, bonus, spent, credited in self._rows(
            "SELECT buyer_id, deposited_cents, bonus_cents, spent_cents, credited_cents"
            " FROM buyer_totals WHERE buyer_id = ANY(%s)",
            self.parties,
        ):
            facts = self.owned[buyer]
            sums = (
                _sum(facts, buyer, lambda kind: kind in {"deposit", "card_refund"}),
                _sum(facts, buyer, lambda kind: kind in _GIFTS),
                -_sum(facts, buyer, lambda kind: kind.startswith(("task_charge", "refund_"))),
                _sum(facts, buyer, lambda kind: kind == "credit"),
            )
            said = (deposited, bonus, spent, credited)
            assert said == sums, f"{buyer} has the totals {said}, the ledger says {sums}"


_GIFTS = {"signup_bonus", "operator_grant", "pack_bonus", "bonus_clawback"}


def _sum(facts: list[Fact], owner: str, wanted: Callable[[str], bool]) -> int:
    """What facts of some kinds gave to an owner, over all its accounts."""
    return -sum(cents for fact in facts if wanted(fact.kind) for cents in _of(fact, owner))


def _of(fact: Fact, owner: str) -> Iterator[int]:
    return (cents for (_, who), cents in fact.moves.items() if who == owner)
