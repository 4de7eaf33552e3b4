"""What a worker does with tasks: get them, hold them, hand them in."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Final

import psycopg
from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, UnsetType, json

from openclaw_jobs.api import bodies, render, schemas
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.api.openapi import problem_responses
from openclaw_jobs.api.problems import ClientGone
from openclaw_jobs.api.request import ApiRequest
from openclaw_jobs.api.services import Services, services_of
from openclaw_jobs.api.visit import visit_of
from openclaw_jobs.db import is_unavailable
from openclaw_jobs.dispatch import Claim
from openclaw_jobs.dispatch import matcher as matching
from openclaw_jobs.kit.errors import FieldError, Problem
from openclaw_jobs.kit.timefmt import rfc3339, rfc3339_or_none
from openclaw_jobs.market.explain_empty import explain_empty
from openclaw_jobs.market.hold_lease import heartbeat, release
from openclaw_jobs.market.look_at_texts import claim_warnings
from openclaw_jobs.market.submit_work import Answer, Submission
from openclaw_jobs.workers.rules import effective_standing, suspension_detail

_WORKER: list[dict[str, list[str]]] = [{"worker": []}]
_TAGS: Final = ["Worker"]


@get(
    "/api/work/next",
    opt=route_options(auth="worker", rate="work_next", counted_by="handler"),
    operation_id="nextWork",
    security=_WORKER,
    tags=_TAGS,
    responses={
        204: ResponseSpec(None, description="There is no task for you now."),
        **problem_responses("suspended"),
    },
)
async def next_work(
    request: ApiRequest,
    wait: Annotated[float, QueryParameter(ge=0, le=60)] = 0,
    max_tasks: Annotated[int | None, QueryParameter(name="max", ge=1, le=100)] = None,
) -> Response[schemas.Assigned | schemas.AssignedList | None]:
    """Claim a task, waiting up to `wait` seconds for one; 204 if there is none.

    With `max` the answer is a list, and when it is empty it says why.
    """
    services = services_of(request)
    services.networks.note(request.worker.worker_id, visit_of(request.scope).address)
    asked_at = time.monotonic()
    try:
        _refuse_suspended(request)
        claims = await _claim(request, services, max_tasks or 1, wait)
    except BaseException:
        # A hang-up too: only who got a task may ask without limit.
        await request.count(held_s=time.monotonic() - asked_at)
        raise
    if not claims:
        await request.count(held_s=time.monotonic() - asked_at, refuse=wait == 0)
    if max_tasks is None:
        if not claims:
            return Response(None, status_code=204)
        return Response(_assigned(services, claims[0]))
    if claims:
        return Response(schemas.AssignedList(tasks=[_assigned(services, c) for c in claims]))
    empty = await explain_empty(services.market, request.worker)
    return Response(
        schemas.AssignedList(tasks=[], why=empty.why, retry_after_s=empty.retry_after_s)
    )


@post(
    "/api/work/submit",
    status_code=200,
    opt=route_options(auth="worker", body_limit="work_submit", rate="work_submit"),
    operation_id="submitWork",
    security=_WORKER,
    tags=_TAGS,
    responses=problem_responses("not_found", "lease_lost", "suspended", "payload_too_large"),
)
async def submit(
    request: ApiRequest, data: JSONBody[bodies.SubmitBody]
) -> schemas.Receipt | schemas.ReceiptList:
    """Hand in a result, or several; with `next`, get the next tasks in the same answer."""
    _refuse_suspended(request)
    services = services_of(request)
    items = _items(data)
    answers = await _answers(services, request.worker.worker_id, items)
    only = answers[0] if data.submissions is None else None
    if isinstance(only, Problem):
        raise only
    services.matcher.unblock(frozenset((request.worker.worker_id,)))
    tasks = await _next_tasks(request, services, data.next)
    if only is not None:
        return render.receipt(only, tasks)
    receipts = [
        render.submission_answer(item.task_id, answer)
        for item, answer in zip(items, answers, strict=True)
    ]
    return schemas.ReceiptList(receipts=receipts, tasks=tasks)


async def _answers(
    services: Services, worker_id: str, items: Sequence[bodies.SubmissionItem]
) -> list[Answer]:
    """What becomes of each submission, in order; one that lacks its result stops no other."""
    misfits = [_misfit_of(item) for item in items]
    fit = [
        _submission(worker_id, item)
        for item, misfit in zip(items, misfits, strict=True)
        if misfit is None
    ]
    settled = iter(await services.submissions.submit_many(fit))
    answers: list[Answer] = []
    for misfit in misfits:
        answer = next(settled) if misfit is None else misfit
        if isinstance(answer, Exception) and not isinstance(answer, Problem):
            raise answer
        answers.append(answer)
    return answers


async def _next_tasks(
    request: ApiRequest, services: Services, wanted: bodies.NextBody | None
) -> list[schemas.Assigned] | UnsetType:
    if wanted is None:
        return UNSET
    try:
        claims = await _claim(request, services, wanted.max or 1, wanted.wait or 0)
    except (Problem, psycopg.Error) as error:
        # What was submitted is settled; its receipt must not be lost to why there is no more.
        if not isinstance(error, Problem) and not is_unavailable(error):
            raise
        claims = []
    return [_assigned(services, claim) for claim in claims]


def _assigned(services: Services, claim: Claim) -> schemas.Assigned:
    return render.assigned(claim, claim_warnings(services.market, claim))


async def _claim(
    request: ApiRequest, services: Services, want: int, wait_seconds: float
) -> list[Claim]:
    """Park the request until there is work; a client that hangs up gets none."""
    if wait_seconds == 0:
        return await services.matcher.next(request.worker, want, 0)
    with request.held("polls", matching.MAX_PARKED_POLLS):
        return await _park(request, services, want, wait_seconds)


async def _park(
    request: ApiRequest, services: Services, want: int, wait_seconds: float
) -> list[Claim]:
    claiming = asyncio.create_task(services.matcher.next(request.worker, want, wait_seconds))
    watching = asyncio.create_task(request.until_hung_up())
    try:
        await asyncio.wait((claiming, watching), return_when=asyncio.FIRST_COMPLETED)
        if claiming.done():
            claims = claiming.result()
            if not watching.done():
                return claims
            # It went just as it was served.
            services.matcher.return_claims(claims)
        raise ClientGone
    finally:
        claiming.cancel()
        watching.cancel()


def _refuse_suspended(request: ApiRequest) -> None:
    worker = request.worker
    now = services_of(request).market.clock.now()
    if effective_standing(worker.standing, worker.suspended_until, now) != "active":
        until = rfc3339_or_none(worker.suspended_until)
        raise Problem("suspended", suspension_detail(until), suspended_until=until)


def _items(data: bodies.SubmitBody) -> list[bodies.SubmissionItem]:
    """The submissions of a body in either form.

    Raises:
        Problem: `validation_failed` for a mixture of both, or for neither.
    """
    missing = [f for f in ("task_id", "lease_token", "status") if getattr(data, f) is None]
    if data.submissions is not None:
        if len(missing) < 3 or data.result is not None or data.error is not None:  # noqa: PLR2004 - all three
            raise _misfit("submissions", "Give one submission or submissions, not both.")
        return data.submissions
    if data.task_id is None or data.lease_token is None or data.status is None:
        raise _misfit(missing[0], "This field is required.")
    return [
        bodies.SubmissionItem(
            task_id=data.task_id,
            lease_token=data.lease_token,
            status=data.status,
            result=data.result,
            error=data.error,
            usage=data.usage,
        )
    ]


def _misfit_of(item: bodies.SubmissionItem) -> Problem | None:
    if item.status == "completed" and item.result is None:
        return _misfit("result", "A completed task needs its result.")
    return None


def _misfit(field: str, message: str) -> Problem:
    return Problem("validation_failed", f"{field}: {message}", errors=[FieldError(field, message)])


def _submission(worker_id: str, item: bodies.SubmissionItem) -> Submission:
    return Submission(
        worker_id=worker_id,
        task_id=item.task_id,
        lease_token=item.lease_token,
        status=item.status,
        result=item.result,
        error=item.error,
        usage=None if item.usage is None else json.encode(item.usage).decode(),
    )


@post(
    "/api/work/heartbeat",
    status_code=200,
    opt=route_options(auth="worker", rate="heartbeat"),
    operation_id="heartbeatWork",
    security=_WORKER,
    tags=_TAGS,
    responses=problem_responses("not_found", "lease_lost"),
)
async def heartbeat_work(
    request: ApiRequest, data: JSONBody[bodies.HeartbeatBody]
) -> schemas.LeaseExtended:
    """Extend a lease; `progress` is shown to the buyer."""
    expires_at = await heartbeat(
        services_of(request).market,
        request.worker.worker_id,
        data.task_id,
        data.lease_token,
        data.progress,
    )
    return schemas.LeaseExtended(rfc3339(expires_at))


@post(
    "/api/work/release",
    status_code=204,
    opt=route_options(auth="worker", rate="heartbeat"),
    operation_id="releaseWork",
    security=_WORKER,
    tags=_TAGS,
    responses=problem_responses("not_found", "lease_lost"),
)
async def release_work(request: ApiRequest, data: JSONBody[bodies.ReleaseBody]) -> None:
    """Give a task back to the queue; no strike."""
    services = services_of(request)
    worker_id = request.worker.worker_id
    await release(services.market, worker_id, data.task_id, data.lease_token, data.reason)
    services.matcher.unblock(frozenset((worker_id,)))


HANDLERS: Final = [next_work, submit, heartbeat_work, release_work]
