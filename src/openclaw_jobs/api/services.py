"""What the handlers of one process work with."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from openclaw_jobs.api.application import Application
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.dispatch import Matcher
from openclaw_jobs.kit.batching import Coalescer
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.decide_payout import Providers
from openclaw_jobs.market.note_networks import Networks
from openclaw_jobs.market.post_task import Answer as Posted
from openclaw_jobs.market.post_task import Post, PostedTask, as_posted, post_tasks
from openclaw_jobs.market.submit_work import Answer, Submission, submit_work
from openclaw_jobs.market.take_due import HiddenPost
from openclaw_jobs.market.unit import refuse_once

_STATE_KEY: Final = "services"
_MAX_GROUP: Final = 100
# One at a time: a second would only part in two what one commit can carry.
_CONCURRENT_GROUPS: Final = 1
_LINGER_S: Final = 0.003
_MAX_POSTS: Final = 50
# Two, so that one buyer whose balance is held elsewhere does not stop all others.
_CONCURRENT_POSTS: Final = 2
# Tasks that are posted together cost half as much to claim and to submit, too, so that at some
# hundred a second workers have them sooner for it. Measured in docs/explanation/performance.md.
_POST_SPACING_S: Final = 0.02


@dataclass(frozen=True)
class Services:
    """The market, and the parts that gather requests.

    Attributes:
        market: What the use cases work with.
        matcher: Where polls are parked.
        submissions: Where submissions share a transaction.
        posts: Where orders of tasks, and hidden tasks, share a transaction.
        providers: Who pays workers, as far as this server is set up for it.
        can_mail: Whether letters leave this server.
        networks: Notes from where workers call.
    """

    market: Market
    matcher: Matcher
    submissions: Coalescer[Submission, Answer]
    posts: Coalescer[Post | HiddenPost, Posted]
    providers: Providers
    can_mail: bool
    networks: Networks

    async def post(self, post: Post) -> PostedTask:
        """Have an order taken with those that come at the same time; raises as `post_task`."""
        return as_posted(await self.posts.submit(post))


def open_services(
    market: Market, matcher: Matcher, *, providers: Providers, can_mail: bool, networks: Networks
) -> Services:
    """Put the parts together."""
    return Services(
        market=market,
        matcher=matcher,
        providers=providers,
        can_mail=can_mail,
        networks=networks,
        submissions=Coalescer(
            partial(_submit, market),
            max_batch=_MAX_GROUP,
            concurrency=_CONCURRENT_GROUPS,
            linger_s=_LINGER_S,
        ),
        posts=Coalescer(
            partial(post_tasks, market),
            max_batch=_MAX_POSTS,
            concurrency=_CONCURRENT_POSTS,
            spacing_s=_POST_SPACING_S,
        ),
    )


async def _submit(market: Market, submissions: Sequence[Submission]) -> Sequence[Answer]:
    return await submit_work(market, submissions)


def services_of(request: ApiRequest) -> Services:
    """The services of the application that serves `request`."""
    services: Services = request.scope["litestar_app"].state[_STATE_KEY]
    return services


def attach(app: Application, services: Services) -> None:
    """Have `services_of` find `services`, and refused bodies be remembered."""
    app.state[_STATE_KEY] = services
    app.refuse_once = partial(refuse_once, services.market)
