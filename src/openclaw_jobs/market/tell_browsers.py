"""What one of a buyer's browsers did reaches its others."""

from openclaw_jobs.chat import store_turns
from openclaw_jobs.market.unit import Unit


async def tell_change(unit: Unit, buyer_id: str, task_id: str) -> None:
    """Have the buyer's other browsers look again at the conversations that a task stands in."""
    for place in await store_turns.select_turns_of_task(unit.conn, buyer_id, task_id):
        unit.tell(
            buyer_id,
            "conversation",
            None,
            conversation_id=place.conversation_id,
            turn_id=place.turn_id,
        )
