"""Texts that may attack whoever reads them: told to the reader, noted for the operator.

A text is never changed and never refused for it. A hidden task has the same text as the task that
it copies, and so the same warnings.
"""

from collections.abc import Sequence

import msgspec

from openclaw_jobs.dispatch import Claim
from openclaw_jobs.market.context import Market
from openclaw_jobs.tasks import Message
from openclaw_jobs.tasks.attacks import in_prompt, in_result

__all__ = ["claim_warnings", "note_prompt", "note_result", "result_warnings"]


def claim_warnings(market: Market, claim: Claim) -> Sequence[str]:
    """What a worker is warned of in a task that it gets."""
    if not market.config.abuse.scan_texts:
        return ()
    if claim.prompt is not None:
        return in_prompt([claim.prompt])
    messages = msgspec.json.decode((claim.messages or "[]").encode(), type=list[Message])
    return in_prompt(message.content for message in messages)


def result_warnings(market: Market, result: str | None) -> Sequence[str]:
    """What a buyer is warned of in a result."""
    if result is None or not market.config.abuse.scan_texts:
        return ()
    return in_result(result)


def note_prompt(
    market: Market,
    buyer_id: str,
    task_id: str,
    prompt: str | None,
    messages: Sequence[Message] | None,
) -> None:
    """Note a buyer whose task may attack workers."""
    if not market.config.abuse.scan_texts:
        return
    texts = [m.content for m in messages or ()] if prompt is None else [prompt]
    codes = in_prompt(texts)
    if codes:
        detail = {"warnings": codes, "task_id": task_id}
        market.sightings.note(buyer_id, "hostile_prompt", detail)


def note_result(market: Market, worker_id: str, task_id: str, result: str) -> None:
    """Note a worker whose result may attack buyers."""
    codes = result_warnings(market, result)
    if codes:
        detail = {"warnings": list(codes), "task_id": task_id}
        market.sightings.note(worker_id, "hostile_result", detail)
