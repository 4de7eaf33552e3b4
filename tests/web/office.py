"""An operator's day: buyers, workers, checks and payouts that wait for one."""

from dataclasses import dataclass
from typing import Final

from tests.market.steps import claim, complete, post, sql
from tests.running import Node, Party
from tests.web.people import make_operator

OPERATOR: Final = "operator@example.com"
LOREM: Final = "The invoice number is stated at the top of the first page of the letter."


@dataclass
class Office:
    """What there is to look at."""

    node: Node
    buyer: Party
    good: Party
    bad: Party
    tasks: list[str]


async def open_office(node: Node) -> Office:
    """An operator with a buyer, two workers and four tasks done."""
    await make_operator(node, OPERATOR)
    buyer, good, bad = await node.buyer(), await node.worker(), await node.worker()
    tasks = []
    for worker, result in ((good, LOREM), (bad, "I do not know."), (good, LOREM), (bad, "No.")):
        await post(buyer, prompt="Where is the invoice's number?")
        done = await claim(worker)
        await complete(worker, done, result)
        tasks.append(done["task_id"])
    return Office(node, buyer, good, bad, tasks)


async def thaw(node: Node) -> None:
    """Let all earnings be their workers' now."""
    await sql(node, "UPDATE earnings SET release_at = now() - interval '1 second'")
    await node.operator().ok("POST", "/api/cron/unfreeze-earnings")
