"""What a route asks of its callers, for both doors: the JSON one and the pages."""

from typing import Any, Final, Literal

import msgspec

__all__ = [
    "Auth",
    "BodyLimit",
    "RateName",
    "Replay",
    "RouteOptions",
    "options_of",
    "page_options",
    "route_options",
]

Auth = Literal["public", "user", "buyer", "worker", "operator", "operator_or_loopback"]
PageAuth = Literal["public", "user", "buyer", "worker", "operator"]
BodyLimit = Literal[
    "worker_connect", "task_input", "work_submit", "worker_profile", "small_body", "webhook"
]
RateName = Literal[
    "connect",
    "work_next",
    "task_submit",
    "work_submit",
    "withdraw",
    "deposit",
    "heartbeat",
    "worker_write",
    "buyer_write",
    "api_read",
    "stream",
    "webhook",
    "sign_in",
    "email_code",
    "health",
    "admin",
]
Replay = Literal["store", "refuse", "ignore"]

_OPTION: Final = "door"


class RouteOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What one route asks of its callers; see `route_options` and `page_options`."""

    auth: Auth = "public"
    body_limit: BodyLimit = "small_body"
    rate: RateName | None = None
    counted_by: Literal["door", "handler"] = "door"
    replay: Replay = "ignore"
    raw_body: bool = False
    page: bool = False


def route_options(
    *,
    auth: Auth,
    body_limit: BodyLimit = "small_body",
    rate: RateName | None = None,
    counted_by: Literal["door", "handler"] = "door",
    replay: bool | Literal["refuse"] = False,
    raw_body: bool = False,
) -> dict[str, Any]:
    """What a handler gives as `opt`.

    Args:
        auth: Who may call.
        body_limit: The field of `payload_limits` that bounds the body.
        rate: The field of `rate_limits` that the call counts in; None counts nowhere.
        counted_by: `handler` lets the door only look, and the handler counts with
            `request.count()` what it wants counted.
        replay: True takes `Idempotency-Key` and repeats the first answer; `"refuse"` takes it and
            answers a reuse with 409; False accepts the header and stores nothing.
        raw_body: The handler reads `await request.body()` itself, of whatever content type.
    """
    how: Replay = "refuse" if replay == "refuse" else "store" if replay else "ignore"
    options = RouteOptions(
        auth=auth,
        body_limit=body_limit,
        rate=rate,
        counted_by=counted_by,
        replay=how,
        raw_body=raw_body,
    )
    return {_OPTION: options}


def page_options(
    *,
    auth: PageAuth = "public",
    body_limit: BodyLimit = "small_body",
    rate: RateName | None = "api_read",
) -> dict[str, Any]:
    """What the handler of a page gives as `opt`: callers come with a session, not with a token.

    The door looks the session up, and refuses an unsafe method without the CSRF token of it (in
    the form's `csrf_token` or the header `X-CSRF-Token`) or from another origin.

    Args:
        auth: Who may see it: anyone, who is signed in (`user`, `buyer`), whose browser holds a
            worker, or an operator.
        body_limit: The field of `payload_limits` that bounds a form.
        rate: The field of `rate_limits` that the call counts in; None counts nowhere.
    """
    options = RouteOptions(auth=auth, body_limit=body_limit, rate=rate, raw_body=True, page=True)
    return {_OPTION: options}


_PUBLIC: Final = RouteOptions()


def options_of(handler: Any) -> RouteOptions:  # noqa: ANN401 - any handler of Litestar's
    """The options that `handler` was declared with; open to all when it names none."""
    options: RouteOptions = handler.opt.get(_OPTION, _PUBLIC)
    return options
