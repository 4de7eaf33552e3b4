"""All pages, area by area."""

from typing import Final

from litestar import Router

from openclaw_jobs.web import (
    account,
    buyer,
    chat,
    chat_acts,
    chat_export,
    deposit,
    landing,
    operator,
    operator_books,
    operator_checks,
    operator_config,
    operator_flags,
    operator_golds,
    operator_money,
    operator_pairs,
    operator_people,
    operator_trial,
    sign_in,
    static_routes,
    worker,
    worker_guide,
    worker_money,
    worker_self,
)

__all__ = ["page_router"]

_AREAS: Final = (
    static_routes,
    landing,
    sign_in,
    account,
    chat,
    chat_acts,
    chat_export,
    buyer,
    deposit,
    worker,
    worker_guide,
    worker_money,
    worker_self,
    operator,
    operator_books,
    operator_checks,
    operator_config,
    operator_flags,
    operator_golds,
    operator_money,
    operator_pairs,
    operator_people,
    operator_trial,
)


def page_router() -> Router:
    """The routes of the pages; none of them is in the API's description."""
    return Router(
        "/",
        route_handlers=[handler for area in _AREAS for handler in area.HANDLERS],
        include_in_schema=False,
    )
