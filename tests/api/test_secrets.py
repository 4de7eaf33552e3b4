"""Secrets: long enough, stored as hashes, compared without telling how near, told to no log."""

import ast
import hmac
import logging
import math
import re
from collections import Counter
from pathlib import Path

import psycopg
import pytest
import structlog

from openclaw_jobs.api import guards
from openclaw_jobs.kit.tokens import TokenPrefix, hash_token, new_token
from tests.market.steps import claim, sql
from tests.plugins.no_leaks import leaks
from tests.running import ADMIN_TOKEN, Node

SOURCE = Path(guards.__file__).parents[1]
WORD = "unmistakable"


@pytest.mark.parametrize("prefix", ["ocb", "ocw", "lease"])
def test_a_token_has_more_than_128_random_bits(prefix: TokenPrefix) -> None:
    made = [new_token(prefix).removeprefix(f"{prefix}_") for _ in range(2_000)]
    assert len(set(made)) == len(made)
    assert {len(token) for token in made} == {32}
    # Each of the 32 places takes all of the 64 characters: 192 bits, and none is fixed.
    for place in range(32):
        seen = Counter(token[place] for token in made)
        assert len(seen) == 64
        entropy = -sum(n / 2_000 * math.log2(n / 2_000) for n in seen.values())
        assert entropy > 5.9


async def test_no_token_is_stored(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await buyer.ok("POST", "/api/task", {"prompt": "hello"}, 201)
    lease = (await claim(worker))["lease_token"]
    tables = await sql(node, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    hashed = 0
    async with node.market.db.transaction() as conn:
        for (name,) in tables:
            if name == "alembic_version":
                continue
            query = f"SELECT t::text FROM {name} t"  # noqa: S608 - names are the catalog's
            rows = await (await conn.execute(query.encode())).fetchall()
            text = "\n".join(row[0] for row in rows)
            for secret in (buyer.token, worker.token, lease, ADMIN_TOKEN):
                assert secret not in text, name
            hashed += text.count(hash_token(buyer.token).hex())
            hashed += text.count(hash_token(worker.token).hex())
    assert hashed == 2


async def test_the_operator_s_token_is_compared_in_constant_time(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[object, object]] = []
    original = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return original(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    assert (await node.operator().get("/api/admin/config")).status_code == 200
    assert (await node.party("x", "wrong").get("/api/admin/config")).status_code == 401
    assert (hash_token("wrong"), hash_token(ADMIN_TOKEN)) in compared


def test_no_secret_is_compared_with_equals() -> None:
    """Tokens are looked up by their hash; what is compared here goes through `compare_digest`."""
    secret = re.compile(r"(?i)^(.*_)?(token|secret|signature|digest|password|mac|csrf)(_hash)?$")
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
                continue
            if path.parent.name == "providers":
                continue  # our own token at PayPal, and a transaction's public signature
            for side in (node.left, *node.comparators):
                name = ast.unparse(side)
                if secret.match(name.rpartition(".")[2]):
                    found.append(f"{path.relative_to(SOURCE)}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


async def test_no_text_of_a_task_and_no_token_is_logged_at_any_level(
    dsn: str,
    node: Node,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    # As `logs.configure_logging` has it; httpx is the test's own.
    for name in ("httpx", "httpcore", "uvicorn.access"):
        caplog.set_level(logging.WARNING, name)
    structlog.reset_defaults()
    buyer, worker = await node.buyer(), await node.worker()
    text = f"{WORD} {buyer.token}"
    body = {"prompt": text, "metadata": {WORD: text}, "conversation_id": WORD}
    task_id = (await buyer.ok("POST", "/api/task", body, 201))["id"]
    held = await claim(worker)
    lease = {"task_id": task_id, "lease_token": held["lease_token"]}
    await worker.ok("POST", "/api/work/heartbeat", {**lease, "progress": text})
    done = {**lease, "status": "completed", "result": text, "usage": {WORD: text}}
    await worker.ok("POST", "/api/work/submit", done)
    await buyer.ok("POST", f"/api/task/{task_id}/credit", {"reason": text})
    for path in (f"/api/tasks?cursor={text}", f"/api/{text}", f"/api/task/{text}"):
        assert (await buyer.http.get(path)).status_code in {404, 422}
    await buyer.send("POST", "/api/task", f'{{"{WORD}": "{text}"'.encode())
    await buyer.send("POST", "/api/task", f'{{"{text}": 1}}'.encode())
    # What breaks in the database is told without what it was about.
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("ALTER TABLE tasks RENAME TO tasks_away")
        assert (await buyer.post("/api/task", body)).status_code == 500
        admin.execute("ALTER TABLE tasks_away RENAME TO tasks")
    out, err = capsys.readouterr()
    told = f"{out}\n{err}\n{caplog.text}"
    assert "/api/task" in told
    assert leaks(told) == []


def test_leaks_are_found() -> None:
    for secret in (
        new_token("ocw"),
        new_token("lease"),
        "mail to someone@example.com",
        ADMIN_TOKEN,
        f"a text with {WORD} in it",
        "Cookie: session=abc",
    ):
        assert leaks(f"x {secret} y")
    assert leaks("request method=GET route=/api/task/{task_id} caller=byr_01h455vb4pex") == []
