"""The request as handlers see it: strictly decoded, bounded, and knowing who calls."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from openclaw_jobs.api.documents import printable
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
from openclaw_jobs.kit.errors import FieldError, Problem
from openclaw_jobs.kit.idempotency import ReplayKey
from openclaw_jobs.market.unit import Replay
from openclaw_jobs.workers.models import WorkerIdentity

__all__ = ["ApiRequest", "decode_strictly", "until_hung_up"]

T = TypeVar("T")

_BODY_TIMEOUT_S: Final = 60.0
"""A body that is not complete by then is given up: who sends so slowly holds us, not works."""
_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class _BodyPlan:
    """What a route expects as its body, worked out at its first call."""

    __slots__ = ("accepts_none", "decoder", "options")

    def __init__(self, handler: BaseRouteHandler) -> None:
        self.options: RouteOptions = options_of(handler)
        self.decoder: msgspec.json.Decoder[Any] | None = None
        data = handler.parsed_fn_signature.parameters.get("data")
        if data is not None:
            self.decoder = msgspec.json.Decoder(data.annotation)
            self.accepts_none = _decodes(self.decoder, b"{}")
        else:
            self.accepts_none = True


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

    async def count(self) -> None:
        """Count this call in its route's rate limit (for `counted_by="handler"`)."""
        rate = _plan(self).options.rate
        if rate is not None:
            door = _door(self)
            await door.limiter.hit(rate, door.rule(rate), self.visit.rate_keys)

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
        body = await _read(self.receive, _door(self).body_limit(plan.options))
        if plan.decoder is not None:
            if body:
                _check_media_type(self)
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
            return decode_strictly(decoder or _ANYTHING, body)
        except Problem as problem:
            await self._remember(problem)
            raise

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
            if _is_empty_object(body):
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


_ANYTHING: Final = msgspec.json.Decoder(Any)


async def until_hung_up(receive: Any) -> None:  # noqa: ANN401 - ASGI
    """Wait for `http.disconnect`, dropping whatever of the body comes before."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return


def decode_strictly(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:  # noqa: ANN401
    """Decode `body`, telling bad JSON (400) from JSON that does not fit (422).

    Raises:
        Problem: `malformed_json`, or `validation_failed` with the fields that are wrong; NUL
            characters and lone surrogates are refused in any string, keys among them.
    """
    try:
        value = decoder.decode(body)
    except msgspec.ValidationError as error:
        _check_well_formed(body)
        raise _misfit(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _check_well_formed(body)
        raise Problem("malformed_json", "The body is not JSON.") from error
    if b"\\u0000" in body and (where := _find_in_strings(_ANYTHING.decode(body), _has_nul)):
        raise _unfit_text(where)
    return value


def _check_well_formed(body: bytes) -> None:
    """Raise the right problem for a body that did not decode; return if it is well-formed."""
    try:
        _ANYTHING.decode(body)
    except msgspec.ValidationError:
        # JSON it is, with a number past what can be held.
        return
    except RecursionError:
        raise Problem("malformed_json", "The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise Problem("malformed_json", "The body is not UTF-8.") from None
    except msgspec.DecodeError as error:
        if where := _lone_surrogate(body):
            raise _unfit_text(where) from None
        raise Problem("malformed_json", f"The body is not JSON: {error}.") from None


def _lone_surrogate(body: bytes) -> str | None:
    """Where an escaped surrogate stands alone, if that is all that is wrong with `body`."""
    if b"\\ud" not in body.lower():
        return None
    try:
        # The standard library's decoder lets lone surrogates through.
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return _find_in_strings(value, _has_surrogate)


def _has_nul(text: str) -> bool:
    return "\x00" in text


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


def _find_in_strings(value: object, unfit: Any) -> str | None:  # noqa: ANN401 - a predicate
    """The path of the first string in `value` (or key of it) that is `unfit`; `$` is the root."""
    pending: list[tuple[str, object]] = [("", value)]
    while pending:
        path, found = pending.pop()
        if isinstance(found, str):
            if unfit(found):
                return path or "$"
        elif isinstance(found, dict):
            for key, inner in found.items():
                if unfit(key):
                    return path or "$"
                pending.append((f"{path}.{key}" if path else key, inner))
        elif isinstance(found, list):
            pending.extend((f"{path}[{i}]", inner) for i, inner in enumerate(found))
    return None


def _unfit_text(where: str) -> Problem:
    field = "" if where == "$" else printable(where)
    message = "NUL characters and lone surrogates are not allowed in text"
    return Problem(
        "validation_failed",
        f"{field}: {message}" if field else message,
        errors=[FieldError(field=field, message=message)],
    )


def _misfit(text: str) -> Problem:
    """A 422 out of msgspec's message, such as ``Expected `int`, got `str` - at `$.a` ``."""
    message, _, path = text.partition(" - at `$")
    field = path.removesuffix("`").removeprefix(".")
    for lead in ("Object contains unknown field `", "Object missing required field `"):
        if message.startswith(lead):
            name = message[len(lead) :].removesuffix("`")
            field = f"{field}.{name}" if field else name
    field, message = printable(field), printable(message)
    return Problem(
        "validation_failed",
        f"{field}: {message}" if field else message,
        errors=[FieldError(field=field, message=message)],
    )


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


def _check_media_type(request: ApiRequest) -> None:
    """Refuse what is declared to be something else than JSON in UTF-8."""
    headers = dict(request.scope["headers"])
    declared = headers.get(b"content-type", b"application/json").lower()
    encoding = headers.get(b"content-encoding", b"identity").lower()
    media_type, _, parameters = declared.partition(b";")
    media_type = media_type.strip()
    charset = parameters.partition(b"charset=")[2].strip(b" \"'") or b"utf-8"
    is_json = media_type == b"application/json" or (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    )
    if not is_json or charset not in {b"utf-8", b"utf8"} or encoding != b"identity":
        raise Problem("unsupported_media_type", "Send the body as application/json in UTF-8.")


def _is_empty_object(body: bytes) -> bool:
    try:
        value = _ANYTHING.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(value, dict) and not value


def _decodes(decoder: msgspec.json.Decoder[Any], body: bytes) -> bool:
    try:
        decoder.decode(body)
    except msgspec.ValidationError:
        return False
    return True


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
