"""Traces over HTTP: spans of requests, transactions and jobs; `traceparent` through a task."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from openclaw_jobs.background import Periodic, repeat
from openclaw_jobs.client.models import Assignment
from openclaw_jobs.client.worker import AsyncWorker
from openclaw_jobs.kit.tracing import OFF, tracing_over
from openclaw_jobs.outside import open_traces
from openclaw_jobs.settings import Settings, SettingsError
from tests.market.steps import claim, complete, completion, fail, lease_of, post
from tests.running import Json, Node, Party, running_node

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADER = f"00-{TRACE}-b7ad6b7169203331-01"
FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


class Spans:
    """What was traced."""

    def __init__(self) -> None:
        self.memory = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.memory))

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.memory.get_finished_spans() if span.name == name]

    def the(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    @property
    def names(self) -> set[str]:
        return {span.name for span in self.memory.get_finished_spans()}


@asynccontextmanager
async def traced_node(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Node, Spans]]:
    """A node that traces into memory."""
    spans = Spans()

    @asynccontextmanager
    async def opened(settings: Settings, dsn: str, **options: Json) -> AsyncIterator[Json]:
        async with whole(settings, dsn, **options) as market:
            yield dataclasses.replace(market, tracing=tracing_over(spans.provider))

    from openclaw_jobs import app

    whole = app.open_market
    monkeypatch.setattr(app, "open_market", opened)
    async with running_node(dsn, background=False) as node:
        yield node, spans


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


async def traced_post(buyer: Party, header: str) -> Json:
    answer = await buyer.post("/api/task", {"prompt": "hello"}, traceparent=header)
    assert answer.status_code == 201
    return answer.json()


async def test_a_trace_goes_from_the_buyer_through_the_worker_and_back(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with traced_node(dsn, monkeypatch) as (node, spans):
        buyer, worker = await node.buyer(), await node.worker()
        await traced_post(buyer, HEADER)
        async with AsyncWorker(node.address, worker.token) as sdk:
            (task,) = (await sdk.next()).tasks
            assert task.traceparent is not None
            assert FORM.fullmatch(task.traceparent)
            assert task.traceparent.split("-")[1] == TRACE
            await sdk.heartbeat(task, progress="half")
            await sdk.submit(task, result="done")

        posted = spans.the("POST /api/task")
        assert posted.context is not None
        assert posted.parent is not None
        assert f"{posted.parent.span_id:016x}" == "b7ad6b7169203331"
        assert task.traceparent.split("-")[2] == f"{posted.context.span_id:016x}"
        for name in ("POST /api/work/heartbeat", "POST /api/work/submit"):
            span = spans.the(name)
            assert trace_of(span) == TRACE
            assert span.parent is not None
            assert span.parent.span_id == posted.context.span_id
        assert dict(posted.attributes or {}) == {
            "http.request.method": "POST",
            "http.route": "/api/task",
            "http.response.status_code": 201,
        }


async def test_use_cases_and_jobs_have_spans(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    async with traced_node(dsn, monkeypatch) as (node, spans):
        buyer, worker = await node.buyer(), await node.worker()
        await post(buyer)
        await complete(worker, await claim(worker))
        await buyer.post("/api/task", {"prompt": "x", "dry_run": True})
        stop = asyncio.Event()

        async def once() -> None:
            stop.set()

        await repeat(
            Periodic("tidy", 1.0, once), node.market.rng, stop, tracing=node.market.tracing
        )
    wanted = {"transaction post_tasks", "transaction claim_tasks", "transaction submit_work"}
    assert wanted | {"transaction quote_task", "job tidy"} <= spans.names
    inner = spans.the("transaction quote_task")
    assert inner.parent is not None
    assert trace_of(inner) in {trace_of(span) for span in spans.named("POST /api/task")}


async def test_spans_hold_no_path_query_or_text(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with traced_node(dsn, monkeypatch) as (node, spans):
        buyer = await node.buyer()
        await post(buyer, prompt="the colour of the lighthouse")
        await buyer.get("/api/task/task_secret-path", wait="0")
        await buyer.get("/nowhere/secret-path", q="secret-query")
        await buyer.get("/api/tasks", cursor="secret-query")
        text = "".join(span.to_json() for span in spans.memory.get_finished_spans())
    assert "GET unmatched" in spans.names
    for word in ("secret-path", "secret-query", "lighthouse", buyer.token):
        assert word not in text


async def test_every_task_has_a_trace_and_none_stands_out(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = f"00-{'0' * 16}8448eb211c80319c-b7ad6b7169203331-00"
    async with traced_node(dsn, monkeypatch) as (node, _):
        buyer, worker = await node.buyer(), await node.worker()
        # Several of one trace, ids of a form of their own, a bad header and none at all.
        for header in (HEADER, HEADER, HEADER, zeros, zeros, "nonsense", ""):
            await traced_post(buyer, header)
        answer = await worker.ok("GET", "/api/work/next?max=7")
        given = [task["traceparent"] for task in answer["tasks"]]
        assert all(FORM.fullmatch(text) for text in given)
        traces = [text.split("-")[1] for text in given]
        assert len(set(traces)) == 7
        assert traces.count(TRACE) == 1
        assert not [trace for trace in traces if trace.startswith("0" * 16)]


async def test_a_task_that_comes_again_goes_on_in_its_trace(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with traced_node(dsn, monkeypatch) as (node, _):
        buyer, first, second = await node.buyer(), await node.worker(), await node.worker()
        await traced_post(buyer, HEADER)
        await fail(first, await claim(first))
        assert (await claim(second))["traceparent"].split("-")[1] == TRACE


async def test_without_tracing_a_task_has_none_and_nothing_is_kept(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await traced_post(buyer, HEADER)
    task = await claim(worker)
    assert "traceparent" not in task
    answer = await worker.post("/api/work/heartbeat", lease_of(task), traceparent=HEADER)
    assert answer.status_code == 200
    answer = await worker.post("/api/work/submit", completion(task), traceparent="nonsense")
    assert answer.status_code == 200
    async with node.market.db.read() as conn:
        cursor = await conn.execute("SELECT count(*) FROM task_traces")
        assert await cursor.fetchone() == (0,)
    assert node.market.tracing is OFF


def test_the_environment_turns_it_on() -> None:
    assert not Settings.from_environment({}).tracing
    assert not Settings.from_environment({"OTEL_TRACES_EXPORTER": "none"}).tracing
    settings = Settings.from_environment({"OTEL_TRACES_EXPORTER": "otlp"})
    with open_traces(settings) as tracing:
        assert tracing.on
    with open_traces(Settings()) as tracing:
        assert tracing is OFF


def test_a_start_without_it_loads_nothing_of_it() -> None:
    code = "import sys, openclaw_jobs.app; print(*[m for m in sys.modules if 'opentelemetry' in m])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_without_the_extra_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with (
        pytest.raises(SettingsError, match=r"openclaw-jobs\[server,otel\]"),
        open_traces(Settings(tracing=True)),
    ):
        pass


async def test_spans_leave_by_otlp(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector of our own gets them, at the address that the standard variable names."""
    import http.server
    import threading

    got: list[tuple[str, bytes]] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "market-of-the-test")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        try:
            with open_traces(Settings(tracing=True)) as tracing, tracing.span("job tidy"):
                pass
        finally:
            server.shutdown()
            thread.join()
    assert [path for path, _ in got] == ["/v1/traces"]
    assert b"job tidy" in got[0][1]
    assert b"market-of-the-test" in got[0][1]


async def test_the_worker_program_hands_the_trace_to_its_command() -> None:
    from openclaw_jobs.client.program.command import CommandEngine

    engine = CommandEngine('printf %s "${TRACEPARENT-none}"')
    task = Assignment(task_id="task_1", lease_token="x", lease_seconds=60, prompt="hello")
    assert (await engine.run(task, lambda _: None)).result == "none"
    traced = Assignment(
        task_id="task_1", lease_token="x", lease_seconds=60, prompt="hello", traceparent=HEADER
    )
    assert (await engine.run(traced, lambda _: None)).result == HEADER
