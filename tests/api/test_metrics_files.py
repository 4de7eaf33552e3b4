"""The reference, the dashboard and the alerts name metrics that a running node serves."""

import re
from pathlib import Path

from openclaw_jobs.market.prove_regularly import prove_regularly
from tests.market.steps import claim, complete, post
from tests.running import Node

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference" / "metrics.md"


async def served(node: Node) -> dict[str, str]:
    """Each metric that a node shows which has done something of everything, with its kind."""
    buyer, worker, anyone = await node.buyer(), await node.worker(), node.anyone()
    await post(buyer)
    await complete(worker, await claim(worker))
    await prove_regularly(node.market)
    text = (await anyone.get("/metrics")).text
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def documented() -> dict[str, str]:
    rows = re.findall(r"^\| `(openclaw_\w+)` \| (\w+) \|", REFERENCE.read_text(), re.MULTILINE)
    return dict(rows)


async def test_the_reference_has_each_metric_and_no_other(node: Node) -> None:
    ours = {name: kind for name, kind in (await served(node)).items() if "openclaw" in name}
    assert documented() == ours
