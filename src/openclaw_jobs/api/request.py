"""The request as handlers see it: strictly decoded, bounded, and knowing who calls."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from litestar import Request
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from openclaw_jobs.api.decoding import (
    ANYTHING,
    accepts_no_body,
    body_decoder,
    check_encoding,
    check_media_type,
    decode_strictly,
    is_empty_object,
)
from openclaw_jobs.api.guards import (
    BuyerIdentity,
    FrontDoor,
    OperatorIdentity,
    RouteOptions,
    body_hash,
    options_of,
    too_large,
)
from openclaw_jobs.api.problems import ClientGone
from openclaw_jobs.api.replay import replayable, route_name
from openclaw_jobs.api.visit import Visit, visit_of
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.idempotency import ReplayKey
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.kit.log_context import note
from openclaw_jobs.kit.sse import until_hung_up
from openclaw_jobs.market.unit import Replay
from openclaw_jobs.workers.models import WorkerIdentity

__all__ = ["ApiRequest"]

T = TypeVar("T")

_BODY_TIMEOUT_S: Final = 60.0
"""A body that is not complete by then is given up: who sends so slowly holds us, not works."""
_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class _BodyPlan:
    """What a route expects as its body, worked out at its first call."""

    __slots__ = ("accepts_none", "decoder", "options")

    def __init__(self, handler: BaseRouteHandler) -> None:
        self.options: RouteOptions = options_of(handler)
        self.decoder = body_decoder(handler)
        self.accepts_none = accepts_no_body(handler)


class ApiRequest(Request[Any, Any, State]):
    """A request to `/api`. Handlers annotate `request: ApiRequest`."""

    __slots__ = ()

    @property
    def visit(self) -> Visit:
        """What the doors know of this request."""
        return visit_of(self.scope)

    @property
    def request_id(self) -> str:
        """The id in `X-Request-Id` of the answer."""
        return self.visit.request_id

    @property
    def buyer_id(self) -> str:
        """The buyer that calls, on a route with `auth="buyer"`."""
        caller = self.visit.caller
        if not isinstance(caller, BuyerIdentity):
            raise LookupError("no buyer is authenticated on this route")  # noqa: TRY004
        return caller.buyer_id

    @property
    def worker(self) -> WorkerIdentity:
        """The worker that calls, on a route with `auth="worker"`."""
        caller = self.visit.caller
        if not isinstance(caller, WorkerIdentity):
            raise LookupError("no worker is authenticated on this route")  # noqa: TRY004
        return caller

    @property
    def operator(self) -> str:
        """The operator's name for the audit trail, on a route with `auth="operator"`."""
        caller = self.visit.caller
        if not isinstance(caller, OperatorIdentity):
            raise LookupError("no operator is authenticated on this route")  # noqa: TRY004
        return caller.name

    @property
    def replay_key(self) -> ReplayKey | None:
        """Which request this is, if it came with an `Idempotency-Key` and the route takes one.

        Hand it to the use case, which stores the answer in the transaction of the effect.
        """
        visit = self.visit
        if visit.idempotency_key is None:
            return None
        if visit.body_hash is None:
            raise LookupError("the body has not been read yet")
        return ReplayKey(
            caller=visit.caller_id or f"address:{visit.address}",
            route=route_name(self.scope["method"], self.scope["path"]),
            key=visit.idempotency_key,
            body_hash=visit.body_hash,
            refuse=_plan(self).options.replay == "refuse",
        )

    def replay(
        self,
        render: Callable[[T], object],
        *,
        status: int | Callable[[T], int] = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Replay[T] | None:
        """How the use case answers this request if it comes again; None without a key.

        Args:
            render: Makes the body's struct of what the use case returns, as the handler does.
            status: The answer's status, or how it follows from what the use case returns.
            headers: Headers of the answer worth repeating.
        """
        return replayable(
            self.replay_key, self.request_id, render, status=status, headers=headers or {}
        )

    async def count(self, *, held_s: float = 0.0, refuse: bool = False) -> None:
        """Count this call in its route's rate limit (for `counted_by="handler"`).

        Args:
            held_s: How many seconds it waited. Where that is as long as calls within the limit
                are apart it is counted for the token alone: any number of clients behind one
                address may wait.
            refuse: Whether it is refused where there is no room: of many calls at once, all of
                which the door saw room for, no more are answered than the limit says.

        Raises:
            Problem: 429 `rate_limited`, with `refuse` only.
        """
        rate = _plan(self).options.rate
        if rate is None:
            return
        door = _door(self)
        rule, keys = door.rule(rate), self.visit.rate_keys
        if held_s * rule.limit >= rule.per_seconds:
            keys = keys[1:]
        if refuse:
            await door.admit(rate, keys, count=True)
        else:
            await door.limiter.hit(rate, rule, keys)

    @contextmanager
    def held(self, kind: str, most: int) -> Iterator[None]:
        """Count this request among those that wait, for its caller and for its address.

        Args:
            kind: What is counted for the caller, such as `streams`.
            most: The most of this kind that one caller may have.

        Raises:
            Problem: 429 `rate_limited`.
        """
        visit, waiting = self.visit, _door(self).waiting
        with waiting.of(kind, visit.caller_id or visit.address, most), waiting.at(visit.address):
            yield

    async def until_hung_up(self) -> None:
        """Return when the client has gone away. For whoever parks the request.

        The rest of an unread body is read and dropped on the way.
        """
        await until_hung_up(self.receive)

    async def body(self) -> bytes:
        """The body, cut off with a 413 at the route's limit.

        Raises:
            Problem: 413 over the limit; 415 when it is not JSON; 400 when one is needed and there
                is none.
            ClientGone: The client hung up in the middle of it.
        """
        state = self._connection_state
        if isinstance(state.body, bytes):
            return state.body
        plan = _plan(self)
        check_encoding(self.scope["headers"])
        body = await _read(self.receive, _door(self).body_limit(plan.options))
        if plan.decoder is not None:
            if body:
                check_media_type(self.scope["headers"])
            elif plan.accepts_none:
                body = b"{}"
            else:
                raise Problem("malformed_json", "A JSON object is needed as the body.")
        visit = self.visit
        if visit.idempotency_key is not None:
            visit.body_hash = body_hash(body)
        state.body = body
        return body

    async def json(self) -> Any:  # noqa: ANN401 - what the handler annotated as `data`
        """The body as the handler's `data` says, decoded strictly: `"5"` is not a number.

        Raises:
            Problem: 400 `malformed_json` or 422 `validation_failed`.
        """
        decoder = _plan(self).decoder
        body = await self.body()
        try:
            value = decode_strictly(decoder or ANYTHING, body)
        except Problem as problem:
            await self._remember(problem)
            raise
        task_id = getattr(value, "task_id", None)
        if isinstance(task_id, str) and is_id("task", task_id):
            note("task_id", task_id)
        return value

    async def refuse_unexpected_body(self) -> None:
        """Refuse a body on a route that takes none; an empty object counts as none.

        Raises:
            Problem: 422 `validation_failed`.
        """
        plan = _plan(self)
        if self.scope["method"] not in _UNSAFE or plan.decoder is not None or plan.options.raw_body:
            return
        body = await self.body()
        if body and body.strip() != b"{}":
            if is_empty_object(body):
                return
            problem = Problem("validation_failed", "This call takes no body, or {}.")
            await self._remember(problem)
            raise problem

    async def _remember(self, problem: Problem) -> None:
        """Keep the refusal of a body as this request's answer, if it is to have only one."""
        application: Any = self.scope["litestar_app"]
        replay: Replay[None] | None = self.replay(lambda _: None)
        if replay is not None and application.refuse_once is not None:
            await application.refuse_once(replay, problem)


async def _read(receive: Any, limit: int) -> bytes:  # noqa: ANN401 - ASGI
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            return await _read_pieces(receive, limit)
    except TimeoutError:
        late = Problem(
            "malformed_json", "The body did not arrive.", headers={"Connection": "close"}
        )
        raise late from None


async def _read_pieces(receive: Any, limit: int) -> bytes:  # noqa: ANN401 - ASGI
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if piece := message.get("body", b""):
            size += len(piece)
            if size > limit:
                raise too_large(limit)
            pieces.append(piece)
        if not message.get("more_body"):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _plan(request: ApiRequest) -> _BodyPlan:
    handler = request.scope["route_handler"]
    plans: dict[Any, _BodyPlan] = request.scope["litestar_app"].body_plans  # type: ignore[attr-defined]
    plan = plans.get(handler)
    if plan is None:
        plan = plans[handler] = _BodyPlan(handler)
    return plan


def _door(request: ApiRequest) -> FrontDoor:
    door: FrontDoor = request.scope["litestar_app"].door  # type: ignore[attr-defined]
    return door
