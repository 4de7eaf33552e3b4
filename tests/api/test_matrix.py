"""Every route by every kind of caller, about its own and foreign things, and the answers due.

The expected statuses stand in `ROWS`, none of them derived from the code; a route without a row
fails. What a caller may not do must not have been done either: the owner's call comes last and
finds everything as it was. (Pages have a matrix of their own.)
"""

import re

import httpx
import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from openclaw_jobs.api.decoding import body_type
from tests.api import callers
from tests.api.callers import Cast, Row, filled
from tests.market.steps import refused, sql
from tests.running import Json, Node, Party

PUBLIC, BUYER, WORKER, OPERATOR = "public", "buyer", "worker", "operator"
LEASE = {"task_id": "{task_id}", "lease_token": "{lease_token}"}
SUBMISSION = {**LEASE, "status": "completed", "result": "done"}
ROWS = {
    # Anybody's.
    ("GET", "/api/health"): Row(PUBLIC, 200),
    ("GET", "/api/quality"): Row(PUBLIC, 200),
    ("POST", "/api/worker/connect"): Row(PUBLIC, 201, body={}),
    ("POST", "/api/deposit/webhook"): Row(PUBLIC, 503, body={}),  # no Stripe is set up here
    ("GET", "/metrics"): Row(PUBLIC, 200),  # from this machine; from elsewhere see below
    # A buyer's.
    ("POST", "/api/task"): Row(BUYER, 201, body={"prompt": "hello"}),
    ("GET", "/api/task/{task_id}"): Row(BUYER, 200, 404, callers.queued),
    ("GET", "/api/tasks"): Row(BUYER, 200),
    ("POST", "/api/task/{task_id}/cancel"): Row(BUYER, 200, 404, callers.queued),
    ("POST", "/api/task/{task_id}/rating"): Row(
        BUYER, 200, 404, callers.completed, {"rating": "up"}
    ),
    ("POST", "/api/task/{task_id}/credit"): Row(BUYER, 200, 404, callers.completed, {}),
    ("GET", "/api/task/{task_id}/events"): Row(BUYER, 200, 404, callers.queued),
    ("GET", "/api/events"): Row(BUYER, 200),
    ("GET", "/api/balance"): Row(BUYER, 200),
    ("POST", "/api/deposit"): Row(BUYER, 503, body={"pack": "pro"}),  # no Stripe is set up here
    ("GET", "/api/deposits"): Row(BUYER, 200),
    ("GET", "/api/keys"): Row(BUYER, 200),
    ("POST", "/api/keys"): Row(BUYER, 201, body={}),
    ("DELETE", "/api/keys/{key_id}"): Row(BUYER, 204, 404, callers.key),
    # A worker's.
    ("GET", "/api/work/next"): Row(WORKER, 200, about=callers.queued),
    ("POST", "/api/work/submit"): Row(WORKER, 200, 404, callers.claimed, SUBMISSION),
    ("POST", "/api/work/heartbeat"): Row(WORKER, 200, 404, callers.claimed, LEASE),
    ("POST", "/api/work/release"): Row(WORKER, 204, 404, callers.claimed, LEASE),
    ("GET", "/api/worker/me"): Row(WORKER, 200),
    ("GET", "/api/worker/standing"): Row(WORKER, 200),
    ("POST", "/api/worker/appeal"): Row(WORKER, 422, body={"text": "Let me back."}),
    ("PATCH", "/api/worker/profile"): Row(WORKER, 200, body={"name": "a name"}),
    # No mail is set up here.
    ("POST", "/api/worker/bind-email"): Row(WORKER, 503, body={"email": "w@example.com"}),
    ("POST", "/api/worker/verify-email"): Row(WORKER, 422, body={"code": "123456"}),
    ("POST", "/api/worker/bind-payout"): Row(
        WORKER, 200, body={"method": "paypal", "email": "w@example.com"}
    ),
    ("POST", "/api/worker/withdraw"): Row(WORKER, 422, body={"amount_cents": 500}),
    ("GET", "/api/worker/payouts"): Row(WORKER, 200),
    ("GET", "/api/worker/earnings"): Row(WORKER, 200),
    ("POST", "/api/worker/rotate-token"): Row(WORKER, 200),
    # The operator's, and the scheduler's.
    ("GET", "/api/admin/config"): Row(OPERATOR, 200),
    ("GET", "/api/admin/config/{key}"): Row(OPERATOR, 200),
    ("PUT", "/api/admin/config/{key}"): Row(OPERATOR, 200, body={"value": {"bonus_cents": 1}}),
    ("GET", "/api/admin/stats"): Row(OPERATOR, 200),
    ("GET", "/api/admin/audit"): Row(OPERATOR, 200),
    ("GET", "/api/admin/workers"): Row(OPERATOR, 200),
    ("POST", "/api/admin/workers/{worker_id}/suspend"): Row(
        OPERATOR, 200, about=callers.spare_worker, body={"reason": "spam"}
    ),
    ("POST", "/api/admin/workers/{worker_id}/reinstate"): Row(
        OPERATOR, 200, about=callers.spare_worker
    ),
    ("GET", "/api/admin/appeals"): Row(OPERATOR, 200),
    ("POST", "/api/admin/appeals/{suspension_id}/uphold"): Row(OPERATOR, 404, body={"answer": "x"}),
    ("POST", "/api/admin/appeals/{suspension_id}/reject"): Row(OPERATOR, 404, body={"answer": "x"}),
    ("GET", "/api/admin/buyers"): Row(OPERATOR, 200),
    ("POST", "/api/admin/buyers/{buyer_id}/suspend"): Row(
        OPERATOR, 200, about=callers.spare_buyer, body={"reason": "spam"}
    ),
    ("POST", "/api/admin/buyers/{buyer_id}/reinstate"): Row(
        OPERATOR, 200, about=callers.spare_buyer
    ),
    ("GET", "/api/admin/flags"): Row(OPERATOR, 200),
    ("POST", "/api/admin/flags/{flag_id}/dismiss"): Row(OPERATOR, 404),
    ("GET", "/api/admin/benchmarks"): Row(OPERATOR, 200),
    ("POST", "/api/admin/benchmarks"): Row(
        OPERATOR, 201, body={"prompt": "2 + 2?", "answers": ["4"]}
    ),
    ("DELETE", "/api/admin/benchmarks/{gold_id}"): Row(OPERATOR, 204, about=callers.gold_task),
    ("GET", "/api/admin/quality"): Row(OPERATOR, 200),
    ("GET", "/api/admin/quality/{check_id}"): Row(OPERATOR, 404),
    ("POST", "/api/admin/quality/{check_id}/verdict"): Row(OPERATOR, 404, body={"first": "good"}),
    ("GET", "/api/admin/pairs"): Row(OPERATOR, 200),
    ("GET", "/api/admin/credits"): Row(OPERATOR, 200),
    ("POST", "/api/admin/credits/{task_id}/approve"): Row(OPERATOR, 404),
    ("POST", "/api/admin/credits/{task_id}/reject"): Row(OPERATOR, 404),
    ("GET", "/api/admin/deposits"): Row(OPERATOR, 200),
    ("GET", "/api/admin/payouts"): Row(OPERATOR, 200),
    ("POST", "/api/admin/payouts/{payout_id}/approve"): Row(OPERATOR, 404, body={}),
    ("POST", "/api/admin/payouts/{payout_id}/reject"): Row(OPERATOR, 404, body={}),
    ("POST", "/api/admin/payouts/{payout_id}/retry"): Row(OPERATOR, 404, body={}),
    ("POST", "/api/admin/payouts/{payout_id}/mark-paid"): Row(
        OPERATOR, 404, body={"reference": "1"}
    ),
    ("POST", "/api/admin/payouts/{payout_id}/mark-failed"): Row(
        OPERATOR, 404, body={"reason": "no"}
    ),
    ("POST", "/api/admin/payouts/{payout_id}/mark-returned"): Row(
        OPERATOR, 404, body={"reason": "no"}
    ),
    ("GET", "/api/admin/ledger/verify"): Row(OPERATOR, 200),
    ("GET", "/api/admin/statements/{account}"): Row(OPERATOR, 404),
    ("GET", "/api/admin/pnl"): Row(OPERATOR, 200),
    ("GET", "/api/admin/reconciliations"): Row(OPERATOR, 200),
    ("POST", "/api/admin/top-ups"): Row(
        OPERATOR, 201, body={"rail": "paypal", "amount_cents": 5, "reference": "R-1"}
    ),
    ("GET", "/api/admin/webhook-events"): Row(OPERATOR, 200),
    ("POST", "/api/admin/webhook-events/{source}/{event_id}/replay"): Row(OPERATOR, 404),
    ("POST", "/api/cron/timeout-recovery"): Row(OPERATOR, 200),
    ("POST", "/api/cron/unfreeze-earnings"): Row(OPERATOR, 200),
    ("POST", "/api/cron/reconcile"): Row(OPERATOR, 200),
    ("POST", "/api/cron/benchmark-inject"): Row(OPERATOR, 200),
}
UNLIMITED_HERE = ("email_code", "withdraw", "deposit", "webhook", "health")

PRIVILEGED = [
    "tier",
    "is_check",
    "status",
    "worker_id",
    "buyer_id",
    "balance_cents",
    "price_cents",
    "earning_cents",
    "amount_cents",
    "credited_cents",
    "id",
    "kind",
    "suspended_until",
    "email_verified",
    "is_operator",
    "role",
    "created_at",
    "_internal",
]
"""Fields that nobody sets by sending them."""


def handlers(node: Node) -> dict[tuple[str, str], HTTPRouteHandler]:
    """Every route that the API's description names."""
    return {
        (method, route.path_format): handler
        for route in node.app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.resolve_include_in_schema()
        for method in handler.http_methods - {"OPTIONS", "HEAD"}
    }


async def cast_of(node: Node) -> Cast:
    everything = {"limit": 1_000_000, "per_seconds": 60}
    await node.configure("rate_limits", **dict.fromkeys(UNLIMITED_HERE, everything))
    return await callers.assemble(node)


async def ask(
    party: Party, method: str, path: str, body: Json, authorization: str | None = None
) -> httpx.Response:
    """Call; of a stream only the beginning is read."""
    headers = {} if authorization is None else {"Authorization": authorization}
    content = None if body is None else msgspec.json.encode(body)
    if content is not None:
        headers["Content-Type"] = "application/json"
    async with party.http.stream(method, path, content=content, headers=headers) as answer:
        if "event-stream" not in answer.headers.get("content-type", ""):
            await answer.aread()
        return answer


def test_every_route_has_a_row(node: Node) -> None:
    assert set(handlers(node)) == set(ROWS)


async def test_everybody_is_answered_as_the_table_says(
    node: Node, subtests: pytest.Subtests
) -> None:
    cast = await cast_of(node)
    anyone, unknown = node.anyone(), await callers.unknown_credentials(cast)
    known = {BUYER: cast.buyer, WORKER: cast.worker, OPERATOR: cast.operator}
    # A new token makes the worker unknown, so that comes last.
    for (method, path), row in sorted(
        ROWS.items(), key=lambda r: (r[0][1].endswith("token"), r[0])
    ):
        ids = await row.about(cast)
        where, body = path.format_map(ids), filled(row.body, ids)
        public = row.caller == PUBLIC
        for name, authorization in unknown.items():
            with subtests.test(route=f"{method} {path}", caller=name):
                answer = await ask(anyone, method, where, body, authorization)
                if public:
                    assert answer.status_code == row.own, answer.text
                else:
                    refused(answer, 401, "unauthenticated")
                    assert answer.headers["www-authenticate"].startswith("Bearer")
        for kind, party in known.items():
            if kind != row.caller:
                with subtests.test(route=f"{method} {path}", caller=kind):
                    answer = await ask(party, method, where, body)
                    if public:
                        assert answer.status_code == row.own, answer.text
                    else:
                        refused(answer, 403, "forbidden")
        other = cast.other(row.caller)
        if other is not None and row.other is not None:
            with subtests.test(route=f"{method} {path}", caller="another of its kind"):
                answer = await ask(other, method, where, body)
                assert answer.status_code == row.other, answer.text
                # Nor is it told apart from what there is not.
                absent = await row_about_nothing(other, method, path, row)
                assert same(answer) == same(absent)
        with subtests.test(route=f"{method} {path}", caller="its own"):
            answer = await ask(cast.own(row.caller), method, where, body)
            assert answer.status_code == row.own, answer.text
    await node.prove()


async def row_about_nothing(party: Party, method: str, path: str, row: Row) -> httpx.Response:
    """The same call about what does not exist."""
    ids = {"task_id": "task_01h455vb4pex5vsknk084sn02q", "key_id": "key_01h455vb4pex5vsknk084sn02q"}
    ids["lease_token"] = "lease_" + "x" * 32
    return await ask(party, method, path.format_map(ids), filled(row.body, ids))


def same(answer: httpx.Response) -> Json:
    """What of an answer may tell something."""
    return {k: v for k, v in answer.json().items() if k != "request_id"} | {
        "status": answer.status_code
    }


async def test_metrics_from_elsewhere_are_the_operator_s(node: Node) -> None:
    cast = await cast_of(node)
    away = {"X-Forwarded-For": "192.0.2.1"}
    for party, status in (
        (node.anyone(), 401),
        (cast.buyer, 403),
        (cast.worker, 403),
        (cast.operator, 200),
    ):
        assert (await party.http.get("/metrics", headers=away)).status_code == status


async def snapshot(node: Node) -> dict[str, object]:
    """A digest of every table but those of processes, and sums that follow by themselves."""
    names = await sql(
        node,
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        " AND tablename NOT IN ('alembic_version', 'nodes', 'volume_hours', 'check_allotments')"
        " ORDER BY 1",
    )
    found: dict[str, object] = {}
    async with node.market.db.transaction() as conn:
        for (name,) in names:
            query = (
                f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t"  # noqa: S608 - names are the catalog's
            )
            cursor = await conn.execute(query.encode())
            found[str(name)] = (await cursor.fetchone() or [None])[0]
    return found


def fields_of(kind: Json) -> set[str]:
    """The names that a body may have, in any of its forms."""
    schema, components = msgspec.json.schema_components([kind])
    text = msgspec.json.encode([schema, components]).decode()
    return set(re.findall(r'"(\w+)":\{', text))


async def test_what_nobody_may_set_is_refused_and_changes_nothing(
    node: Node, subtests: pytest.Subtests
) -> None:
    cast = await cast_of(node)
    found = handlers(node)
    rows = [(route, row) for route, row in ROWS.items() if route[0] in {"POST", "PUT", "PATCH"}]
    for (method, path), row in rows:
        if path == "/api/deposit/webhook":
            continue  # what Stripe signs is not ours to name
        ids = await row.about(cast)
        kind = body_type(found[method, path])
        allowed = set() if kind is None else fields_of(kind)
        before = await snapshot(node)
        for field in (name for name in PRIVILEGED if name not in allowed):
            with subtests.test(route=f"{method} {path}", field=field):
                body = {**(filled(row.body, ids) or {}), field: "platinum"}
                answer = await ask(cast.own(row.caller), method, path.format_map(ids), body)
                problem = refused(answer, 422, "validation_failed")
                assert kind is None or field in str(problem["errors"])
        assert await snapshot(node) == before, path


NESTED = [
    ("buyer", "/api/task", {"messages": [{"role": "user", "content": "x", "tier": "gold"}]}),
    ("buyer", "/api/task", {"messages": [{"role": "operator", "content": "x"}]}),
    ("worker", "/api/worker/connect", {"preferences": {"tier": "gold"}}),
    ("worker", "/api/worker/profile", {"preferences": {"tier": "gold"}}),
    ("worker", "/api/worker/profile", {"preferences": {"max_concurrent": 1001}}),
    ("worker", "/api/worker/profile", {"schedule": {"timezone": "UTC", "hours": [], "tier": 1}}),
    ("worker", "/api/work/submit", {"submissions": [{**SUBMISSION, "earned_cents": 1}]}),
    ("worker", "/api/work/submit", {**SUBMISSION, "next": {"max": 1, "tier": "gold"}}),
    ("worker", "/api/worker/bind-payout", {"method": "paypal", "email": "a@b.cd", "verified": 1}),
    ("operator", "/api/admin/config/signup", {"value": {"bonus_cents": 1, "tier": "gold"}}),
]


async def test_nor_further_inside(node: Node, subtests: pytest.Subtests) -> None:
    cast = await cast_of(node)
    methods = {"/api/worker/profile": "PATCH", "/api/admin/config/signup": "PUT"}
    before = await snapshot(node)
    for kind, path, body in NESTED:
        with subtests.test(path=path, body=body):
            answer = await ask(cast.own(kind), methods.get(path, "POST"), path, body)
            refused(answer, 422, "validation_failed")
    assert await snapshot(node) == before
