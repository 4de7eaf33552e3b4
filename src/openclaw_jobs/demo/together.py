"""Waiting for one thing while another may go wrong."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

__all__ = ["unless_disturbed"]

T = TypeVar("T")


async def unless_disturbed(
    story: Coroutine[Any, Any, T], disturbance: Coroutine[Any, Any, NoReturn]
) -> T:
    """Run `story` to its end, unless `disturbance` raises first; neither outlives this call."""
    telling, watching = asyncio.create_task(story), asyncio.create_task(disturbance)
    try:
        await asyncio.wait({telling, watching}, return_when=asyncio.FIRST_COMPLETED)
        return watching.result() if watching.done() else telling.result()
    finally:
        telling.cancel()
        watching.cancel()
        await asyncio.gather(telling, watching, return_exceptions=True)
