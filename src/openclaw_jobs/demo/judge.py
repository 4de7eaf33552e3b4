"""Whether a task went well: pure functions over what the public API answers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from openclaw_jobs.client import Balance, Earning, Task
from openclaw_jobs.demo.work import DemoTask

__all__ = ["Proof", "judge_money", "judge_task"]

_ROW: Final = re.compile(r"^\|\s*([^|]+?)\s*\|\s*([^|]*?)\s*\|", re.MULTILINE)


class Proof(msgspec.Struct, frozen=True):
    """What `GET /api/admin/ledger/verify` answers."""

    ok: bool
    transactions: int
    entries: int
    accounts: int
    sum_cents: int
    violations: list[str]


def judge_task(task: DemoTask, found: Task) -> str | None:
    """What is wrong with how a task ended, None if it is done and the result is true."""
    if found.status != "completed":
        return f"is {found.status}, not completed"
    if found.category != task.category:
        return f"was filed under {found.category}"
    if found.result is None:
        return "has no result"
    if isinstance(task.truth, str):
        given = found.result.strip()
        return None if given == task.truth else f"answers {given[:80]!r}, true is {task.truth!r}"
    rows = {name.casefold(): value for name, value in _ROW.findall(found.result)}
    wrong = [
        f"{name} is {true}, not {rows.get(name, 'left out')}"
        for name, true in task.truth.items()
        if rows.get(name) != true
    ]
    return "; ".join(wrong) or None


def judge_money(
    granted_cents: int,
    tasks: Sequence[Task],
    balance: Balance,
    earned: Mapping[str, Iterable[Earning]],
    proof: Proof,
) -> list[str]:
    """What does not add up between the buyer, the workers and the ledger.

    `earned` are the earnings of the worker of each category. A worker may have others than these
    tasks'; what counts is that each task is there, once, with its price.
    """
    faults = [f"the ledger: {violation}" for violation in proof.violations]
    if not proof.ok or proof.sum_cents != 0:
        faults.append(f"the ledger does not add up: its sum is {proof.sum_cents} cents")
    spent = sum(task.price_cents for task in tasks)
    if balance.balance_cents != granted_cents - spent:
        faults.append(
            f"the buyer had {granted_cents} cents, spent {spent} and has {balance.balance_cents}"
        )
    lists = {category: list(earnings) for category, earnings in earned.items()}
    for task in tasks:
        mine = [e for e in lists.get(task.category, ()) if e.task_id == task.id]
        if len(mine) != 1:
            faults.append(f"{task.id} stands {len(mine)} times in its worker's earnings")
        elif mine[0].gross_cents != task.price_cents or (
            mine[0].net_cents + mine[0].commission_cents != mine[0].gross_cents
        ):
            faults.append(f"{task.id} cost {task.price_cents} cents and earned {mine[0]}")
    return faults
