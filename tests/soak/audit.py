"""Who looks over everything at the end, from outside: by the API alone, as each party."""

from collections import Counter

from openclaw_jobs.client import AsyncBuyer, AsyncWorker
from tests.bad_days.programs import Back
from tests.soak.crowd import CREDIT_CENTS, Crowd


async def audit(crowd: Crowd, url: str, back: Back) -> list[str]:
    """What is wrong; empty when nothing was lost or doubled and all money is where it should be.

    Shares no figure with the program: prices are those that buyers are shown, earnings those that
    workers were told, and the two must meet at zero with the balances.
    """
    wrong: list[str] = []
    bought: dict[str, int] = {}
    for key in crowd.keys:
        bought |= await _audit_buyer(crowd, url, key, wrong)
    earned = await _audit_workers(crowd, url, bought, wrong)
    done = set(bought)
    if missing := done - earned.keys():
        wrong.append(f"{len(missing)} tasks are completed and earned nobody anything")
    if not_told := done - crowd.heard.keys():
        wrong.append(f"of {len(not_told)} completions no event told")
    if doubled := [task for task, times in crowd.heard.items() if times > 1]:
        wrong.append(f"of {len(doubled)} completions events told twice")
    wrong += [f"refused: {what}" for what in crowd.refused if what[0] not in _EXPECTED]
    try:
        await back.prove()
    except AssertionError as error:
        wrong.append(f"the ledger's proof: {error}")
    return wrong


_EXPECTED = frozenset({0, 409, 502, 503})


async def _audit_buyer(crowd: Crowd, url: str, key: str, wrong: list[str]) -> dict[str, int]:
    """Compare what a buyer remembers with what it is shown; the price of each of its tasks."""
    posted = crowd.posted[key]
    prices: dict[str, int] = {}
    async with AsyncBuyer(url, key) as buyer:
        async for task in buyer.list_tasks():
            if task.id in prices:
                wrong.append(f"{task.id} is listed twice")
            prices[task.id] = task.price_cents
            prompt = posted.get(task.id)
            if prompt is None:
                wrong.append(f"{task.id} was made by nobody")
            if task.status != "completed":
                wrong.append(f"{task.id} is {task.status}")
        balance = (await buyer.balance()).balance_cents
    if lost := posted.keys() - prices.keys():
        wrong.append(f"{len(lost)} tasks of a buyer are lost")
    if balance != CREDIT_CENTS - sum(prices.values()):
        wrong.append(f"a buyer has {balance}, and paid {sum(prices.values())}")
    return prices


async def _audit_workers(
    crowd: Crowd, url: str, bought: dict[str, int], wrong: list[str]
) -> dict[str, int]:
    """Compare receipts with earnings, and earnings with prices; what each task earned."""
    earned: dict[str, int] = {}
    times: Counter[str] = Counter()
    for token in crowd.tokens:
        mine = 0
        async with AsyncWorker(url, token) as worker:
            async for earning in worker.earnings():
                times[earning.task_id] += 1
                mine += earning.net_cents
                earned[earning.task_id] = earning.net_cents
                told = crowd.receipts.get(earning.task_id)
                if told is not None and told != (token, earning.net_cents):
                    wrong.append(f"the receipt of {earning.task_id} is not its earning")
                price = bought.get(earning.task_id)
                if price is not None and earning.net_cents + earning.commission_cents != price:
                    wrong.append(f"{earning.task_id}: price and earning differ")
            money = (await worker.me()).balance
        if mine not in {money.lifetime_cents, money.available_cents + money.frozen_cents}:
            wrong.append(f"a worker earned {mine}, and is shown {money}")
    if twice := [task for task, count in times.items() if count > 1]:
        wrong.append(f"{len(twice)} tasks earned twice")
    if lost := crowd.receipts.keys() - earned.keys():
        wrong.append(f"{len(lost)} receipts have no earning")
    return earned
