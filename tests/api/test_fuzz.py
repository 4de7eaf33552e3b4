"""Calls of every kind, made by schemathesis from the API's own description, as each party.

All its checks are on: no answer is undocumented or of another form than documented, no call fits
the description and is refused for its form or the reverse, and no 5xx is sent. `OPENCLAW_FUZZ`
sets how many examples it makes of each operation (`make fuzz`); the suite makes few, always the
same.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.mail_server import mail_server
from tests.market.steps import claim, complete, post
from tests.payments.shop import Shop, open_shop
from tests.running import ADMIN_TOKEN, LIMITS, UNLIMITED

PROGRAM = Path(sys.executable).with_name("schemathesis")
EXAMPLES = os.environ.get("OPENCLAW_FUZZ", "")

# Not every rule can be said in a schema; these may refuse what fits theirs.
FITTING = ["2xx", "3xx", "400", "401", "402", "403", "404", "409", "422", "429", "5xx"]
UNSAID = {
    "bindEmail": "which texts are addresses of mail",
    "bindPayout": "which texts are addresses of wallets",
    "getProfitAndLoss": "which texts are dates",
    "getStatement": "which texts are dates",
    "putConfig": "what the section needs, and which version is in force",
    "topUpRail": "what is booked already",
    "connectWorker": "that 1.0 is no integer",
    "changeProfile": "which time zones there are",
    "postTask": "that some text is in it, and at which price",
    "submitWork": "that it is one submission, or several",
    "takeStripeEvent": "that Stripe has signed it",
    "verifyEmail": "which code was mailed",
    "addBenchmark": "that there is one text, with words in it",
    "overruleCheck": "that there is a verdict, and on what",
    "appealSuspension": "whether there is a suspension to appeal",
    "withdraw": "where to, and how much there is",
}


REFUSED = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "429", "5xx"]
"""How what does not fit may be refused; 413 where it is too large in all as well."""

# Where a party's own calls are, which are tried more thoroughly than those refused to it.
OWN = {
    "nobody": "/api/(health|worker/connect|deposit/webhook)",
    "buyer": "/api/(task|balance|keys|deposit|events)",
    "worker": "/api/work",
    "operator": "/(api/admin|api/cron|metrics)",
}


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    """A marketplace with everything set up that a call may need."""
    async with (
        mail_server() as mailbox,
        open_shop(dsn, smtp_url=f"smtp://127.0.0.1:{mailbox.port}") as running,
    ):
        everything = (*LIMITS, "withdraw", "deposit", "webhook", "email_code", "sign_in", "health")
        await running.node.configure("rate_limits", **dict.fromkeys(everything, UNLIMITED))
        yield running


async def _world(shop: Shop, party: str) -> tuple[str, dict[str, str]]:
    """Something of everything; the party's token, and the ids that its calls are about."""
    node = shop.node
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    await complete(worker, await claim(worker))
    waiting = (await post(buyer))["id"]
    tokens = {
        "nobody": "",
        "buyer": buyer.token,
        "worker": worker.token,
        "operator": ADMIN_TOKEN,
    }
    ids = {"task_id": waiting, "worker_id": worker.id, "buyer_id": buyer.id, "key": "signup"}
    return tokens[party], ids


def _operation(which: str, setting: str) -> list[str]:
    return ["[[operations]]", which, setting]


async def _settings(shop: Shop, party: str, ids: dict[str, str]) -> str:
    """The ids to call with; and that a text of nobody's making is no cursor."""
    document = await shop.node.anyone().ok("GET", "/api/openapi.json")
    pages = [
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
        if any(p["name"] == "cursor" for p in operation.get("parameters", ()))
    ]
    lines = [
        "[checks.negative_data_rejection]",
        f"expected-statuses = {REFUSED}",
        "[parameters]",
        '"query.wait" = 0',
    ]
    lines += [f'"path.{name}" = "{value}"' for name, value in ids.items()]
    # What is refused to everybody of this kind is refused soon enough.
    lines += _operation(
        f'include-path-regex = "^(?!{OWN[party]})"', "phases.coverage.enabled = false"
    )
    for operation in (*UNSAID, *pages):
        lines += _operation(
            f'include-operation-id = "{operation}"',
            f"checks.positive_data_acceptance.expected-statuses = {FITTING}",
        )
    return "\n".join(lines)


@pytest.mark.parametrize("party", ["nobody", "buyer", "worker", "operator"])
async def test_no_call_is_answered_otherwise_than_described(
    shop: Shop, party: str, tmp_path: Path
) -> None:
    token, ids = await _world(shop, party)
    config = tmp_path / "schemathesis.toml"
    config.write_text(await _settings(shop, party, ids))
    # A new token would make the rest of a worker's calls somebody's that nobody knows, and a
    # buyer's streams do not end.
    left_out = {"worker": "/rotate-token$", "buyer": "/events$"}.get(party)
    running = await asyncio.create_subprocess_exec(
        *(PROGRAM, "--config-file", config, "run", f"{shop.node.address}/api/openapi.json"),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing", "--no-color"),
        *("--max-examples", EXAMPLES or "3"),
        *(("--exclude-path-regex", left_out) if left_out else ()),
        *(() if EXAMPLES else ("--seed", "1", "--generation-deterministic")),
        *(("--header", f"Authorization: Bearer {token}") if token else ()),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await running.communicate()
    assert running.returncode == 0, told.decode().rpartition("= FAILURES")[2]
    await shop.node.prove()
