"""An operator's day: what waits to be decided."""

from typing import Final

from tests.market.steps import claim, complete, post, sql
from tests.running import Node, Party

__all__ = ["OPERATOR", "ask_for_payout"]

OPERATOR: Final = "operator@example.com"


async def ask_for_payout(node: Node, worker: Party, cents: int) -> str:
    """Let a worker earn so much and ask for it; the payout's id."""
    await node.configure(
        "commissions",
        rate_by_tier=dict.fromkeys(("bronze", "silver", "gold", "platinum"), 0),
        min_withdrawal_cents=1,
        require_verified_email=False,
    )
    await node.configure("rate_limits", withdraw={"limit": 100, "per_seconds": 60})
    await node.configure("pricing", min_cents=cents)
    buyer = await node.buyer()
    await post(buyer)
    await node.configure("pricing", min_cents=5)
    await complete(worker, await claim(worker))
    await sql(node, "UPDATE earnings SET release_at = now() - interval '1 second'")
    await node.operator().ok("POST", "/api/cron/unfreeze-earnings")
    target = {"method": "paypal", "email": "w@example.com"}
    await worker.ok("POST", "/api/worker/bind-payout", target)
    asked = await worker.ok("POST", "/api/worker/withdraw", {"amount_cents": cents}, 201)
    payout_id: str = asked["payout_id"]
    return payout_id
