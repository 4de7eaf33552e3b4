"""A buyer's balance and API keys."""

from typing import Final

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from openclaw_jobs.api import bodies, schemas
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.identity import NewApiKey
from openclaw_jobs.kit.timefmt import rfc3339
from openclaw_jobs.market.open_accounts import issue_key, list_keys, revoke_key
from openclaw_jobs.market.read_tasks import get_balance

_BUYER: list[dict[str, list[str]]] = [{"buyer": []}]
_TAGS: Final = ["Buyer"]


@get(
    "/api/balance",
    opt=route_options(auth="buyer", rate="api_read"),
    operation_id="getBalance",
    security=_BUYER,
    tags=_TAGS,
)
async def balance(request: ApiRequest) -> schemas.Balance:
    """What the buyer has to spend, and its lifetime sums."""
    found = await get_balance(services_of(request).market, request.buyer_id)
    return schemas.Balance(
        balance_cents=found.promo_cents + found.paid_cents,
        promo_cents=found.promo_cents,
        paid_cents=found.paid_cents,
        lifetime=schemas.Lifetime(
            found.lifetime.deposited_cents,
            found.lifetime.bonus_cents,
            found.lifetime.spent_cents,
            found.lifetime.credited_cents,
        ),
    )


@get(
    "/api/keys",
    opt=route_options(auth="buyer", rate="api_read"),
    operation_id="listKeys",
    security=_BUYER,
    tags=_TAGS,
)
async def keys(request: ApiRequest) -> schemas.KeyList:
    """The buyer's live API keys, without their secrets."""
    found = await list_keys(services_of(request).market, request.buyer_id)
    return schemas.KeyList([schemas.Key(k.id, k.name, rfc3339(k.created_at)) for k in found])


@post(
    "/api/keys",
    status_code=201,
    opt=route_options(auth="buyer", rate="buyer_write", replay="refuse"),
    operation_id="createKey",
    security=_BUYER,
    tags=_TAGS,
)
async def create_key(request: ApiRequest, data: JSONBody[bodies.KeyBody]) -> schemas.NewKey:
    """Make an API key; the secret is in this answer and nowhere else."""
    made = await issue_key(
        services_of(request).market,
        request.buyer_id,
        data.name,
        request.replay(_new_key, status=201),
    )
    return _new_key(made)


def _new_key(made: NewApiKey) -> schemas.NewKey:
    return schemas.NewKey(made.id, made.key, made.name, rfc3339(made.created_at))


@delete(
    "/api/keys/{key_id:str}",
    opt=route_options(auth="buyer", rate="buyer_write"),
    operation_id="revokeKey",
    security=_BUYER,
    tags=_TAGS,
    responses=problem_responses("not_found"),
)
async def delete_key(request: ApiRequest, key_id: FromPath[str]) -> None:
    """Revoke an API key at once."""
    await revoke_key(services_of(request).market, request.buyer_id, key_id)


HANDLERS: Final = [balance, keys, create_key, delete_key]
