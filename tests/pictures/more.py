"""What happens on the marketplace of the pictures once the pictures of its usual day are taken.

A result is disputed and decided by a third, a buyer pays by card, asks a price back that does not
go by itself, and shares an answer.
"""

from typing import Final

import msgspec

from openclaw_jobs.economy import Quality
from tests.market.steps import sql
from tests.payments.shop import Shop
from tests.pictures.story import Story
from tests.quality.check_steps import QUIET, settle
from tests.running import Json, Node, Party
from tests.web.people import Browser

__all__ = ["SESSION", "tell_more"]

SESSION: Final = "openclaw_session"
_PROMPT: Final = "Which city is the capital of Australia, and why that one?"
_RIGHT: Final = (
    "The capital of Australia is Canberra. Sydney and Melbourne could not agree, so the city was"
    " built between them as a compromise."
)
_WRONG: Final = "The capital of Australia is Sydney, because it is the largest city of the country."
_LETTER: Final = "Translate “the meeting is put off to Monday” into German."


async def tell_more(shop: Shop, story: Story) -> dict[str, str]:
    """Let it happen; returns the values of paths, those of the story among them."""
    node = shop.node
    workers = [await _translator(node, name) for name in ("Quick Heron", "Calm Badger", "Wise Owl")]
    buyer = node.party(*story.buyer)
    usual: Quality = node.market.config.quality
    # Nothing is checked but what is meant to be, and no credit goes by itself.
    quiet = {**QUIET, "auto_credit_rate": 0, "auto_credit_min_tasks": 1}
    await node.configure("quality", **{**quiet, "spot_check_rate": 1})
    await _post(buyer, _PROMPT)
    original = await _do(workers[0], _WRONG)
    await node.configure("quality", **quiet)
    for worker in workers[1:]:
        await settle(node)
        await _do(worker, _RIGHT)
    await settle(node)
    await _ask_back(buyer, workers[1])
    await node.configure("quality", **msgspec.to_builtins(usual))
    ((check_id,),) = await sql(node, "SELECT id FROM checks WHERE original_task_id = %s", original)
    facts = {**story.facts, "check_id": str(check_id), "key": "pricing"}
    browser = Browser(node.address)
    browser.http.cookies.set(SESSION, story.sessions["buyer"] or "")
    try:
        token = await browser.token()
        fields = {"pack": "pro", "key": "once", "return_to": "/chat"}
        assert (await browser.post("/deposit", fields, token)).status_code == 303
        (session,) = shop.stripe.all_of("checkout.session")
        facts["session_id"] = session["id"]
        await shop.bring(shop.stripe.pay(session["id"]))
        asked = {"accept": "application/json"}
        shared = await browser.post(f"/chat/tasks/{story.facts['task']}/share", {}, token, asked)
        facts["token"] = shared.json()["link"].rpartition("/")[2]
    finally:
        await browser.http.aclose()
    ((turn_id, deposit_id),) = await sql(
        node,
        "SELECT (SELECT id FROM turns ORDER BY seq LIMIT 1), (SELECT id FROM deposits LIMIT 1)",
    )
    facts |= {"turn_id": str(turn_id), "deposit_id": str(deposit_id)}
    ids = ("task", "worker", "buyer", "conversation")
    # Of the workers the one with something on its record.
    return facts | {f"{name}_id": facts[name] for name in ids} | {"worker_id": workers[0].id}


async def _translator(node: Node, name: str) -> Party:
    body = {"name": name, "preferences": {"categories": ["translation"]}}
    made = await node.anyone().ok("POST", "/api/worker/connect", body, 201)
    return node.party(made["worker_id"], made["token"])


async def _do(worker: Party, result: str) -> str:
    work = await worker.ok("GET", "/api/work/next?wait=10")
    done: Json = {"task_id": work["task_id"], "lease_token": work["lease_token"]}
    await worker.ok("POST", "/api/work/submit", done | {"status": "completed", "result": result})
    return str(work["task_id"])


async def _post(buyer: Party, prompt: str) -> None:
    await buyer.ok("POST", "/api/task", {"prompt": prompt, "category": "translation"}, 201)


async def _ask_back(buyer: Party, worker: Party) -> None:
    """A credit that waits for an operator."""
    await _post(buyer, _LETTER)
    task_id = await _do(worker, "Das Treffen ist am Montag.")
    why = {"reason": "“Put off” is missing: the meeting was to be earlier."}
    await buyer.ok("POST", f"/api/task/{task_id}/credit", why, 202)
