"""The reference, the dashboard and the alerts name metrics, and labels, that a node serves."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped] # it has no types
from prometheus_client.parser import text_string_to_metric_families

from openclaw_jobs.market.prove_regularly import prove_regularly
from tests.market.steps import claim, complete, post
from tests.running import Json, Node
from tests.test_docs import anchors

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference" / "metrics.md"
DASHBOARD = json.loads((ROOT / "ops" / "grafana" / "openclaw-jobs.json").read_text())
GROUPS = yaml.safe_load((ROOT / "ops" / "prometheus" / "alerts.yml").read_text())["groups"]
ALERTS: list[Json] = [rule for group in GROUPS for rule in group["rules"]]

# What Prometheus adds to every series of a target, and the one that it makes itself.
TARGET_LABELS = {"job", "instance"}
OF_PROMETHEUS = {"up": set[str]()}
FUNCTIONS = {"sum", "max", "min", "rate", "increase", "topk", "histogram_quantile", "time",
             "min_over_time"}  # fmt: skip
WORDS = {"and", "or"}

STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def expressions() -> Iterator[tuple[str, str]]:
    for rule in ALERTS:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def names_in(expression: str) -> dict[str, set[str]]:
    """The metrics of a PromQL expression, each with the labels that are asked of it."""
    plain = re.sub(r"\[[^\]]*\]", "", STRING.sub('""', expression))
    plain = re.sub(r"\b(?:by|on) \([^)]*\)", "", plain)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, braces in re.findall(r"([a-zA-Z_:][\w:]*)\b(?!\s*\()\s*(\{[^}]*\})?", plain):
        if name not in WORDS:
            found[name] |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", braces))
    return found


def labels_grouped_by(expression: str) -> set[str]:
    groups = re.findall(r"by \(([^)]*)\)", expression)
    return {label.strip() for group in groups for label in group.split(",")}


@pytest.fixture
async def scraped(node: Node) -> str:
    """A scrape of a node that has done something of everything."""
    buyer, worker, anyone = await node.buyer(), await node.worker(), node.anyone()
    await post(buyer)
    await complete(worker, await claim(worker))
    await prove_regularly(node.market)
    node.market.metrics.job("prove-ledger", ok=True, seconds=0.1, at=1.0)
    await node.configure("rate_limits", connect={"limit": 1, "per_seconds": 60})
    for _ in range(2):
        await anyone.post("/api/worker/connect", {})
    return (await anyone.get("/metrics")).text


def test_the_reference_has_each_metric_and_no_other(scraped: str) -> None:
    ours = dict(re.findall(r"^# TYPE (openclaw_\S+) (\S+)$", scraped, re.MULTILINE))
    rows = re.findall(r"^\| `(openclaw_\w+)` \| (\w+) \|", REFERENCE.read_text(), re.MULTILINE)
    assert dict(rows) == ours
    assert len(rows) == len(ours)


def test_the_dashboard_and_the_alerts_ask_for_what_is_served(scraped: str) -> None:
    served: defaultdict[str, set[str]] = defaultdict(set, OF_PROMETHEUS)
    for family in text_string_to_metric_families(scraped):
        for sample in family.samples:
            served[sample.name] |= set(sample.labels)
    asked = 0
    for where, expression in expressions():
        assert expression.count("(") == expression.count(")"), where
        functions = set(re.findall(r"([a-z_]+)\s*\(", STRING.sub('""', expression)))
        assert functions <= FUNCTIONS | {"by"}, (where, functions)
        names = names_in(expression)
        assert names, where
        for name, labels in names.items():
            asked += 1
            assert name in served, f"{where}: {name}"
            assert labels <= served[name] | TARGET_LABELS, f"{where}: {labels}"
        known = {label for name in names for label in served[name]} | TARGET_LABELS
        assert labels_grouped_by(expression) <= known, where
    assert asked > 60


def test_the_dashboard_refers_to_the_labels_of_its_series() -> None:
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    assert len(set(titles)) == len(titles)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(titles)
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                if " by " in target["expr"]:
                    assert label in labels_grouped_by(target["expr"]), panel["title"]


def test_each_alert_says_how_long_how_bad_what_and_where_its_answer_stands() -> None:
    page = ROOT / "docs" / "how-to" / "observe.md"
    names = [rule["alert"] for rule in ALERTS]
    assert len(set(names)) == len(names) > 15
    for rule in ALERTS:
        assert re.fullmatch(r"\d+[smh]", rule["for"]), rule
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert ROOT / path == page
        assert anchor == rule["alert"].lower()
        assert anchor in anchors(page), rule["alert"]
    answered = re.findall(r"^### (\w+)$", page.read_text(), re.MULTILINE)
    assert sorted(answered) == sorted(names)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("max(a_b) == 0", {"a_b": set()}),
        ('sum by (le, r) (rate(x_bucket{r!~"a(b|c)", s="1"}[5m]))', {"x_bucket": {"r", "s"}}),
        ("a / on (i) b > 1 and max by (c) (d) > 0", {"a": set(), "b": set(), "d": set()}),
        ("time() - e", {"e": set()}),
    ],
)
def test_names_are_found_in_an_expression(expression: str, names: dict[str, set[str]]) -> None:
    assert names_in(expression) == names
