"""The account page: name, browsers, keys, and the end of it."""

from typing import Final

from litestar import get

from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.market import people
from openclaw_jobs.market.open_accounts import list_keys
from openclaw_jobs.web.pages import Page, PageRequest, buyer_of, render, site_of, user_of


@get("/account", opt=page_options(auth="buyer"))
async def account(request: PageRequest) -> Page:
    """All that is the user's own to see and change."""
    market = site_of(request).market
    return render(
        request,
        "account.html",
        title="Account",
        sessions=await people.list_sessions(market, user_of(request)),
        keys=await list_keys(market, buyer_of(request)),
        new_key=None,
    )


HANDLERS: Final = [account]
