"""The front door: what every request must get past before its body is looked at.

In this order: a Content-Length over the route's limit (413), an address with too many failed
authentications (429), authentication (401, 403), the rate limit (429), the form of the
`Idempotency-Key` (400). What a route asks for is said by `route_options` in its `opt`.

A token in `Authorization` is what is believed where there is one. Without, a buyer's and an
operator's routes take the session of a browser (`session_door`), and pages take nothing else.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from openclaw_jobs.api.addresses import AddressBook, address_key
from openclaw_jobs.api.connections import Waiting
from openclaw_jobs.api.limits import RateLimiter, WindowRule
from openclaw_jobs.api.replay import parse_key
from openclaw_jobs.api.session_door import SessionDoor
from openclaw_jobs.api.visit import Visit, visit_of
from openclaw_jobs.economy import Config
from openclaw_jobs.identity.models import SessionIdentity
from openclaw_jobs.kit.doors import Auth, RouteOptions, options_of, route_options
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.metrics import Metrics
from openclaw_jobs.kit.tokens import hash_token
from openclaw_jobs.workers.models import WorkerIdentity

__all__ = [
    "Authenticator",
    "BuyerIdentity",
    "FrontDoor",
    "OperatorIdentity",
    "RouteOptions",
    "options_of",
    "route_options",
]

_MAX_TOKEN_CHARS: Final = 512
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER: Final = b"bearer "
_IDENTIFYING: Final = (b"authorization", b"x-forwarded-for", b"x-real-ip", b"cf-connecting-ip")
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="openclaw"'}


class BuyerIdentity(msgspec.Struct, frozen=True):
    """A buyer that showed a valid API key."""

    buyer_id: str


class OperatorIdentity(msgspec.Struct, frozen=True):
    """An operator; `name` is what the audit trail calls them."""

    name: str


class Authenticator(Protocol):
    """Finds who a token belongs to. Tokens come only as their SHA-256."""

    async def buyer_by_key(self, key_hash: bytes) -> str | None:
        """The id of the buyer with this API key, or None if it is unknown or revoked."""
        ...

    async def worker_by_token(self, token_hash: bytes) -> WorkerIdentity | None:
        """The worker with this token, or None if it is unknown or was replaced."""
        ...


class LiveConfig(Protocol):
    """The runtime configuration in force; `current` changes while the program runs."""

    @property
    def current(self) -> Config:
        """All sections now."""
        ...


class FrontDoor:
    """What the door needs to decide; one for each process.

    Args:
        config: The runtime configuration, read at every call.
        authenticator: Who a token belongs to.
        limiter: Counts calls.
        addresses: Tells whence a call comes.
        admin_token: The operator's token; None leaves the operator's routes closed.
        sessions: Reads the sessions of browsers; None where there are no pages.
        waiting: Counts requests that wait; by default without bounds by address.
        metrics: Where refusals are counted, and all requests.
    """

    def __init__(
        self,
        *,
        config: LiveConfig,
        authenticator: Authenticator,
        limiter: RateLimiter,
        addresses: AddressBook,
        admin_token: str | None,
        sessions: SessionDoor | None = None,
        waiting: Waiting | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.config = config
        self.limiter = limiter
        self.addresses = addresses
        self.waiting = waiting or Waiting()
        self.metrics = metrics or Metrics()
        self.sessions = sessions
        self._authenticator = authenticator
        self._admin_hash = None if admin_token is None else hash_token(admin_token)

    def body_limit(self, options: RouteOptions) -> int:
        """The most bytes that a body of this route may have now."""
        limit: int = getattr(self.config.current.payload_limits, options.body_limit)
        return limit

    def rule(self, name: str) -> WindowRule:
        """The limit of this kind of call now."""
        rule: WindowRule = getattr(self.config.current.rate_limits, name)
        return rule

    async def enter(self, scope: Any, options: RouteOptions) -> None:  # noqa: ANN401 - ASGI
        """Let the request of `scope` in, and write down on its visit who calls.

        Raises:
            Problem: It is refused; the module says in which order for what.
        """
        headers = _headers(scope["headers"])
        visit = visit_of(scope)
        self._check_length(headers, options)
        client = scope.get("client")
        peer = client[0] if client else None
        visit.address = self.addresses.client(peer, headers)
        address = address_key(visit.address)
        keys: tuple[bytes, ...] = (address,)
        if options.page:
            visit.page = True
            keys += await self._enter_page(visit, headers, options, scope["method"])
        elif options.auth != "public" and not (
            options.auth == "operator_or_loopback" and self.addresses.is_loopback(peer, headers)
        ):
            keys += (await self._authenticate(visit, headers, options, scope["method"]),)
        visit.rate_keys = keys
        if options.rate is not None:
            count = options.counted_by == "door"
            await self.admit(options.rate, keys, count=count)
        key = headers.get(b"idempotency-key")
        if key is not None and scope["method"] not in _SAFE:
            parsed = parse_key(key)
            if options.replay != "ignore":
                visit.idempotency_key = parsed

    async def admit(self, name: str, keys: Sequence[bytes], *, count: bool) -> None:
        """Let a call of this kind pass, counting it if so wished.

        Raises:
            Problem: 429 `rate_limited`; it is not counted.
        """
        try:
            await self.limiter.admit(name, self.rule(name), keys, count=count)
        except Problem:
            self.metrics.rate_limited.labels(name).inc()
            raise

    def _check_length(self, headers: Mapping[bytes, bytes], options: RouteOptions) -> None:
        announced = headers.get(b"content-length")
        # uvicorn refuses a length that is no number before we see it.
        if announced is not None and announced.isdigit():
            limit = self.body_limit(options)
            if int(announced) > limit:
                raise too_large(limit)

    async def _authenticate(
        self,
        visit: Visit,
        headers: Mapping[bytes, bytes],
        options: RouteOptions,
        method: str,
    ) -> bytes:
        """Find the caller and check that it is of the kind the route serves; its key."""
        address = address_key(visit.address)
        failures = self.rule("auth_failures")
        await self.admit("auth_failures", (address,), count=False)
        token = _bearer(headers)
        sessions = self.sessions
        if sessions is not None and options.auth != "worker" and b"authorization" not in headers:
            session = await sessions.find(visit, headers)
            if session is not None:
                self._enter_by_session(sessions, session, visit, headers, options, method)
                return _session_key(session)
            if sessions.cookie(headers) is not None:
                await self.limiter.hit("auth_failures", failures, (address,))
        if token is None:
            raise self._unauthenticated(options, "Send Authorization: Bearer <token>.")
        token_hash = hash_token(token)
        caller = await self._find(token, token_hash)
        if caller is None:
            await self.limiter.hit("auth_failures", failures, (address,))
            raise self._unauthenticated(options, "This token is not known, or no longer valid.")
        visit.caller = caller
        visit.caller_id = caller_id(caller)
        if not _serves(options.auth, caller):
            raise Problem("forbidden", f"This call is not for {_KIND_OF[type(caller)]}s.")
        return token_hash

    def _enter_by_session(
        self,
        sessions: SessionDoor,
        session: SessionIdentity,
        visit: Visit,
        headers: Mapping[bytes, bytes],
        options: RouteOptions,
        method: str,
    ) -> None:
        """Let in whom a session names, if the route serves them and the call is their own wish."""
        if session.user_id is None:
            raise self._unauthenticated(options, "This browser holds a worker; sign in besides.")
        if method not in _SAFE:
            sessions.check_header(visit, headers)
        if options.auth == "buyer" and session.buyer_id is not None:
            visit.caller = BuyerIdentity(session.buyer_id)
        elif options.auth.startswith("operator") and session.is_operator:
            visit.caller = OperatorIdentity(session.user_id)
        else:
            raise Problem("forbidden", "This call is not for who is signed in here.")
        visit.caller_id = caller_id(visit.caller)

    async def _enter_page(
        self,
        visit: Visit,
        headers: Mapping[bytes, bytes],
        options: RouteOptions,
        method: str,
    ) -> tuple[bytes, ...]:
        """Find whose browser it is and check that the page is for them; what they count by."""
        sessions = self.sessions
        if sessions is None:
            raise Problem("unavailable", "This server has no pages.", headers={"Retry-After": "60"})
        session = await sessions.find(visit, headers)
        if method not in _SAFE:
            sessions.check_origin(headers)
        if session is not None:
            visit.caller_id = session.user_id or session.worker_id
        if options.auth == "worker":
            if session is None or session.worker_id is None:
                raise Problem("unauthenticated", "Connect your worker first.")
        elif options.auth != "public":
            if session is None or session.user_id is None:
                raise Problem("unauthenticated", "Sign in first.")
            if options.auth == "buyer" and session.buyer_id is None:
                raise Problem("forbidden", "This page is for buyers.")
            if options.auth == "operator" and not session.is_operator:
                raise Problem("forbidden", "This page is for operators.")
        return () if session is None else (_session_key(session),)

    async def check_page(self, request: Any) -> None:  # noqa: ANN401 - the JSON door's request
        """See that an unsafe call of a page comes from a page of ours; reads its form for that.

        Raises:
            Problem: 403 `forbidden`, and what is wrong with the body.
        """
        if self.sessions is not None and request.scope["method"] not in _SAFE:
            await self.sessions.check_page(request)

    async def _find(
        self, token: str, token_hash: bytes
    ) -> BuyerIdentity | WorkerIdentity | OperatorIdentity | None:
        if self._admin_hash is not None and hmac.compare_digest(token_hash, self._admin_hash):
            return OperatorIdentity("operator")
        if token.startswith("ocw_"):
            return await self._authenticator.worker_by_token(token_hash)
        if token.startswith("ocb_"):
            buyer_id = await self._authenticator.buyer_by_key(token_hash)
            return None if buyer_id is None else BuyerIdentity(buyer_id)
        return None

    def _unauthenticated(self, options: RouteOptions, detail: str) -> Problem:
        if options.auth.startswith("operator") and self._admin_hash is None:
            detail += " No ADMIN_TOKEN is set on this server, so nobody is its operator yet."
        return Problem("unauthenticated", detail, headers=_CHALLENGE)


_KIND_OF: Final[Mapping[type, str]] = {
    BuyerIdentity: "buyer",
    WorkerIdentity: "worker",
    OperatorIdentity: "operator",
}


def _session_key(session: SessionIdentity) -> bytes:
    """What the calls of a session count by: all of one user's together."""
    return hash_token(f"session:{session.user_id or session.worker_id or session.id}")


def caller_id(caller: BuyerIdentity | WorkerIdentity | OperatorIdentity) -> str:
    """The id under which a caller appears in logs and idempotency records."""
    if isinstance(caller, WorkerIdentity):
        return caller.worker_id
    return caller.buyer_id if isinstance(caller, BuyerIdentity) else caller.name


def too_large(limit: int) -> Problem:
    """The 413 for a body over `limit` bytes."""
    return Problem(
        "payload_too_large", f"The body may have at most {limit} bytes.", limit_bytes=limit
    )


def body_hash(body: bytes) -> bytes:
    """What tells two bodies apart under one idempotency key."""
    return hashlib.sha256(body).digest()


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name. Of those that decide who calls, none is believed that is there twice.

    Several lines of `X-Forwarded-For` are one list; of any other header the last counts.
    """
    headers = dict(raw)
    if len(headers) == len(raw):
        return headers
    cookies = [value for key, value in raw if key == b"cookie"]
    if len(cookies) > 1:
        headers[b"cookie"] = b"; ".join(cookies)
    for name in _IDENTIFYING:
        values = [value for key, value in raw if key == name]
        if len(values) > 1:
            # Emptied, not left out: it still tells that a proxy passed the call on.
            headers[name] = b",".join(values) if name == b"x-forwarded-for" else b""
    return headers


def _serves(auth: Auth, caller: object) -> bool:
    wanted = "operator" if auth == "operator_or_loopback" else auth
    return _KIND_OF[type(caller)] == wanted


def _bearer(headers: Mapping[bytes, bytes]) -> str | None:
    value = headers.get(b"authorization", b"")
    if value[: len(_BEARER)].lower() != _BEARER:
        return None
    try:
        token = value[len(_BEARER) :].strip().decode("ascii")
    except UnicodeDecodeError:
        return None
    return token if 0 < len(token) <= _MAX_TOKEN_CHARS else None
