"""Payouts to PayPal accounts by PayPal's Payouts API.

Each attempt is a batch of one payment whose `sender_batch_id` is the attempt's key. Within 30 days
PayPal pays such a name once: it refuses the second request and links to the first batch. So an
answer that was lost is healed by asking again; after 29 days that is no longer done, and the
attempt stays unknown until an operator has looked.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from openclaw_jobs.kit.clock import Clock
from openclaw_jobs.kit.timefmt import rfc3339
from openclaw_jobs.ledger import Account, Rail
from openclaw_jobs.payments.providers import paypal_rules as rules
from openclaw_jobs.payments.providers.base import (
    Failed,
    Outcome,
    PayoutOrder,
    Prepared,
    ProviderName,
    ProviderUnavailable,
    RailRecord,
    Sent,
    Unknown,
)

__all__ = ["LIVE", "SANDBOX", "PayPal"]

SANDBOX: Final = "https://api-m.sandbox.paypal.com"
LIVE: Final = "https://api-m.paypal.com"

_KEY_LASTS: Final = timedelta(days=29)
"""PayPal says 30 days; the day less is for clocks, and for requests under way."""
_TOKEN_MARGIN: Final = timedelta(seconds=60)
"""A token is renewed so long before it ends."""
_REPORT_SPAN: Final = timedelta(days=30)
"""At most 31 days may be asked for at once."""
_REPORT_PAGE: Final = 500
_PAYOUTS: Final = "/v1/payments/payouts"

T = TypeVar("T")


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int


class _NoAnswer(Exception):  # noqa: N818 - a state, not a mistake
    """PayPal did not answer, or not in a way that can be read; what was asked may be done."""


class PayPal:
    """The rail.

    Args:
        client_id: Of an app of PayPal's developer dashboard with the feature Payouts.
        client_secret: Its secret.
        api_base: `SANDBOX`, `LIVE`, or another address that speaks the API.
        clock: Tells when a token ends and how long a key is remembered.
        http: The client to ask through; one with sensible time-outs by default.
    """

    name: ProviderName = "paypal"
    rail: Rail = Account.PAYPAL

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        api_base: str,
        clock: Clock,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx.AsyncClient(timeout=httpx.Timeout(20.0, connect=5.0))
        self._base = api_base.rstrip("/")
        self._credentials = httpx.BasicAuth(client_id, client_secret)
        self._clock = clock
        self._token: str | None = None
        self._token_ends = clock.now()
        self._asking_token = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def prepare(self, order: PayoutOrder) -> Prepared:  # noqa: ARG002 - any order is the same
        """Note until when the attempt's key protects it, once PayPal lets us in.

        Raises:
            ProviderUnavailable: It does not answer, or does not know the app.
        """
        try:
            await self._access()
        except _NoAnswer as error:
            raise ProviderUnavailable(str(error)) from None
        return Prepared(valid_until=int((self._clock.now() + _KEY_LASTS).timestamp()))

    async def send(self, order: PayoutOrder) -> Outcome:
        """Ask for the payment, or find the one that was asked for before.

        A refusal for want of funds or permission is unknown, not failed: nothing was created, and
        the same request may be made again once that is put right.
        """
        ends = order.valid_until
        if ends is not None and self._clock.now().timestamp() >= ends:
            return Unknown(
                f"PayPal has not acknowledged it, and no longer remembers {order.key}: "
                "look for it in the account's activity"
            )
        try:
            answer = await self._ask("POST", _PAYOUTS, rules.payout_request(order))
            if answer.is_success:
                created = _read(answer, rules.Batch)
                return Sent(created.batch_header.payout_batch_id)
            return await self._refused(order, answer)
        except (_NoAnswer, ValueError) as error:
            return Unknown(str(error))

    async def check(self, order: PayoutOrder) -> Outcome:
        """What PayPal says of its batch; without a batch's id the request is made again."""
        if order.reference is None:
            return await self.send(order)
        try:
            return await self._look(order, order.reference)
        except (_NoAnswer, ValueError) as error:
            return Unknown(str(error))

    async def records(self, since: datetime, until: datetime) -> list[RailRecord]:
        """All movements of the account in US dollars in [since, until), oldest first.

        By the Transaction Search API, which the app must be allowed as well; it tells a movement up
        to three hours late, so ask for what is older than that.

        Raises:
            ProviderUnavailable: PayPal does not answer, or not with a report.
        """
        rows: list[rules.ReportRow] = []
        start = since
        try:
            while start < until:
                end = min(start + _REPORT_SPAN, until)
                rows += await self._report(start, end)
                start = end
            return rules.records_of(rows, since, until)
        except (_NoAnswer, ValueError) as error:
            raise ProviderUnavailable(str(error)) from None

    async def _refused(self, order: PayoutOrder, answer: httpx.Response) -> Outcome:
        refusal = _refusal(answer)
        told = rules.told_by(answer.status_code, refusal)
        if refusal is None:
            return Unknown(told)
        if rules.is_duplicate(refusal):
            reference = rules.duplicate_of(refusal)
            if reference is None:
                return Unknown(f"{told}; look for {order.key} in the account's activity")
            return await self._look(order, reference)
        return Failed(told) if rules.is_final(answer.status_code, refusal) else Unknown(told)

    async def _look(self, order: PayoutOrder, reference: str) -> Outcome:
        answer = await self._ask("GET", f"{_PAYOUTS}/{quote(reference, safe='')}")
        if not answer.is_success:
            return Unknown(rules.told_by(answer.status_code, _refusal(answer)))
        return rules.outcome_of(order, _read(answer, rules.Batch))

    async def _report(self, start: datetime, end: datetime) -> list[rules.ReportRow]:
        rows: list[rules.ReportRow] = []
        page, pages = 1, 1
        while page <= pages:
            asked = httpx.QueryParams(
                start_date=rfc3339(start),
                end_date=rfc3339(end),
                fields="transaction_info",
                page_size=_REPORT_PAGE,
                page=page,
            )
            answer = await self._ask("GET", f"/v1/reporting/transactions?{asked}")
            if not answer.is_success:
                raise _NoAnswer(rules.told_by(answer.status_code, _refusal(answer)))
            told = _read(answer, rules.ReportPage)
            rows += told.transaction_details
            page, pages = page + 1, told.total_pages
        return rows

    async def _ask(
        self, method: str, path: str, body: dict[str, object] | None = None
    ) -> httpx.Response:
        """Ask with a token; once more with a new one where PayPal no longer takes it."""
        token = await self._access()
        answer = await self._call(method, path, token, body)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            answer = await self._call(method, path, await self._access(instead_of=token), body)
        return answer

    async def _call(
        self, method: str, path: str, token: str, body: dict[str, object] | None
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        content = None if body is None else msgspec.json.encode(body)
        try:
            return await self._http.request(
                method, self._base + path, headers=headers, content=content
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _NoAnswer(f"no answer from PayPal ({type(error).__name__})") from None

    async def _access(self, *, instead_of: str | None = None) -> str:
        """An access token: the one at hand while it lasts, asked for by one caller at a time."""
        async with self._asking_token:
            lasts = self._clock.now() < self._token_ends - _TOKEN_MARGIN
            if self._token is not None and lasts and self._token != instead_of:
                return self._token
            try:
                answer = await self._http.post(
                    f"{self._base}/v1/oauth2/token",
                    auth=self._credentials,
                    data={"grant_type": "client_credentials"},
                )
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise _NoAnswer(f"no token from PayPal ({type(error).__name__})") from None
            if not answer.is_success:
                told = rules.told_by(answer.status_code, _refusal(answer))
                raise _NoAnswer(f"no token from PayPal: {told}")
            token = _read(answer, _Token)
            self._token = token.access_token
            self._token_ends = self._clock.now() + timedelta(seconds=token.expires_in)
            return self._token


def _read(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as error:
        raise _NoAnswer(f"PayPal's answer can't be read: {error}") from None


def _refusal(answer: httpx.Response) -> rules.Refusal | None:
    try:
        return msgspec.json.decode(answer.content, type=rules.Refusal)
    except msgspec.DecodeError:
        return None
