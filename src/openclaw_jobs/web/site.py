"""What the handlers of all pages work with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jinja2

from openclaw_jobs.identity.oauth import Provider
from openclaw_jobs.kit.cookies import CookieNames
from openclaw_jobs.kit.csrf import Signer
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.decide_payout import Providers
from openclaw_jobs.market.public_activity import PublicActivity
from openclaw_jobs.payments.deposits import DepositDesk
from openclaw_jobs.web.filters import FILTERS
from openclaw_jobs.web.office import Office
from openclaw_jobs.web.static_files import StaticFiles
from openclaw_jobs.web.template_loader import open_templates

__all__ = ["STATE_KEY", "Site", "open_site"]

STATE_KEY: Final = "site"


@dataclass(frozen=True)
class Site:
    """The pages of one process.

    Attributes:
        market: What the use cases work with.
        activity: What anybody may see of it.
        desk: Where deposits are taken.
        payouts: Who pays workers.
        can_mail: Whether letters leave this server.
        office: What the operator's pages work with.
        templates: The Jinja environment.
        files: What is under `/static`.
        signer: Makes CSRF tokens, and signs what a cookie carries.
        names: What the cookies are called.
        public_url: Where the site is reached from outside; None takes the request's `Host`.
        production: Whether development's conveniences are off.
        form_targets: Origins besides ours that a form may lead to.
        providers: Who vouches for people that sign in, by name.
    """

    market: Market
    activity: PublicActivity
    desk: DepositDesk
    payouts: Providers
    can_mail: bool
    office: Office
    templates: jinja2.Environment
    files: StaticFiles
    signer: Signer
    names: CookieNames
    public_url: str | None
    production: bool
    form_targets: tuple[str, ...] = ()
    providers: Mapping[str, Provider] = field(default_factory=dict)

    @property
    def environment(self) -> str:
        """`development` or `production`."""
        return "production" if self.production else "development"


def open_site(
    market: Market,
    *,
    desk: DepositDesk,
    payouts: Providers,
    can_mail: bool,
    office: Office,
    signer: Signer,
    public_url: str | None,
    production: bool,
    form_targets: tuple[str, ...] = (),
    providers: Mapping[str, Provider] | None = None,
) -> Site:
    """Load the templates and the files, and put the parts together."""
    files = StaticFiles(watch=not production)
    shared: dict[str, Any] = {
        "static": files.url,
        "environment": "production" if production else "development",
        "providers": providers or {},
    }
    return Site(
        market=market,
        activity=PublicActivity(market),
        desk=desk,
        payouts=payouts,
        can_mail=can_mail,
        office=office,
        templates=open_templates(FILTERS, shared, watch=not production),
        files=files,
        signer=signer,
        names=CookieNames.of(production=production),
        public_url=public_url,
        production=production,
        form_targets=form_targets,
        providers=providers or {},
    )
