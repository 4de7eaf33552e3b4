"""What an operator does, and what a scheduler may run now."""

from typing import Final

import msgspec
from litestar import get, post, put
from litestar.params import FromPath, JSONBody

from openclaw_jobs.api import bodies, render, schemas
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import services_of
from openclaw_jobs.market.change_config import change_config, get_config, list_config
from openclaw_jobs.market.prove_ledger import prove_ledger
from openclaw_jobs.market.recover_leases import Recovered, recover
from openclaw_jobs.market.release_earnings import release_earnings

_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_TAGS: Final = ["Operator"]


class LedgerProof(msgspec.Struct, frozen=True):
    """The proof that the money adds up."""

    ok: bool
    transactions: int
    entries: int
    accounts: int
    sum_cents: int
    violations: list[str]


@get(
    "/api/admin/config",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="listConfig",
    security=_OPERATOR,
    tags=_TAGS,
)
async def config(request: ApiRequest) -> schemas.ConfigList:
    """The runtime configuration in force."""
    found = await list_config(services_of(request).market)
    return schemas.ConfigList({entry.key: render.config_section(entry) for entry in found})


@get(
    "/api/admin/config/{key:str}",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="getConfig",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found"),
)
async def config_section(request: ApiRequest, key: FromPath[str]) -> schemas.ConfigSection:
    """One section of the runtime configuration in force."""
    return render.config_section(await get_config(services_of(request).market, key))


@put(
    "/api/admin/config/{key:str}",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="putConfig",
    security=_OPERATOR,
    tags=_TAGS,
    responses=problem_responses("not_found"),
)
async def put_config(
    request: ApiRequest, key: FromPath[str], data: JSONBody[bodies.ConfigBody]
) -> schemas.ConfigSection:
    """Change a section: fields that are left out keep their value. In force within 5 s."""
    entry = await change_config(
        services_of(request).market, key, data.value, data.version, request.operator
    )
    return render.config_section(entry)


@get(
    "/api/admin/ledger/verify",
    opt=route_options(auth="operator", rate="admin"),
    operation_id="verifyLedger",
    security=_OPERATOR,
    tags=_TAGS,
)
async def verify(request: ApiRequest) -> LedgerProof:
    """Prove from every posting that the money adds up."""
    proof = await prove_ledger(services_of(request).market)
    return LedgerProof(
        proof.ok,
        proof.transactions,
        proof.entries,
        proof.accounts,
        proof.sum_cents,
        list(proof.violations),
    )


@post(
    "/api/cron/timeout-recovery",
    status_code=200,
    opt=route_options(auth="operator", rate="admin"),
    operation_id="cronTimeoutRecovery",
    security=_OPERATOR,
    tags=_TAGS,
)
async def timeout_recovery(request: ApiRequest) -> Recovered:
    """Recover lost leases, expire old tasks and end suspensions now."""
    return await recover(services_of(request).market)


@post(
    "/api/cron/unfreeze-earnings",
    status_code=200,
    opt=route_options(auth="operator", rate="admin"),
    operation_id="cronUnfreezeEarnings",
    security=_OPERATOR,
    tags=_TAGS,
)
async def unfreeze_earnings(request: ApiRequest) -> dict[str, int]:
    """Release the earnings that are due now."""
    return {"released": await release_earnings(services_of(request).market)}


HANDLERS: Final = [config, config_section, put_config, verify, timeout_recovery, unfreeze_earnings]
