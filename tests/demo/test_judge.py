"""Whether the demo can fail: wrong results, lost tasks and missing cents are found."""

import pytest

from openclaw_jobs.client import Balance, Earning, Event, PostedTask, Task
from openclaw_jobs.demo.board import Board, WorkerNews
from openclaw_jobs.demo.judge import Proof, judge_money, judge_task
from openclaw_jobs.demo.story import Findings
from openclaw_jobs.demo.work import BASE_CENTS, PYTHON, TASKS, TEXT, DemoTask

SUM = DemoTask(title="sum", category=PYTHON, prompt="1 + 1", truth="2")
COUNT = DemoTask(title="count", category=TEXT, prompt="a b", truth={"words": "2", "sentences": "1"})
TABLE = "**2 words**\n\n| measure | value |\n| --- | --- |\n| words | {} |\n| sentences | 1 |\n"
PROOF = Proof(True, 3, 8, 5, 0, [])  # noqa: FBT003 - as it is answered


def done(task: DemoTask, result: str | None, *, status: str = "completed", cents: int = 9) -> Task:
    return Task(
        id=f"task_{task.title}",
        status=status,
        category=task.category,
        result=result,
        price_cents=cents,
    )


def earning(task: Task, gross: int, commission: int, net: int) -> Earning:
    return Earning(task_id=task.id, gross_cents=gross, commission_cents=commission, net_cents=net)


def test_the_tasks_are_ten_of_two_kinds() -> None:
    assert len(TASKS) == 10
    assert {task.category for task in TASKS} == set(BASE_CENTS) == {TEXT, PYTHON}
    assert len({task.title for task in TASKS}) == 10


def test_right_results_pass() -> None:
    assert judge_task(SUM, done(SUM, "2\n")) is None
    assert judge_task(COUNT, done(COUNT, TABLE.format(2))) is None


@pytest.mark.parametrize(
    ("task", "found", "fault"),
    [
        (SUM, done(SUM, "3"), "answers '3', true is '2'"),
        (SUM, done(SUM, ""), "answers ''"),
        (SUM, done(SUM, None), "has no result"),
        (SUM, done(SUM, "2", status="failed"), "is failed, not completed"),
        (SUM, done(SUM, None, status="queued"), "is queued, not completed"),
        (SUM, done(COUNT, "2"), "was filed under text"),
        (COUNT, done(COUNT, TABLE.format(3)), "words is 2, not 3"),
        (COUNT, done(COUNT, "| words | 2 |"), "sentences is 1, not left out"),
        (COUNT, done(COUNT, "2 words, 1 sentence"), "words is 2, not left out"),
    ],
)
def test_wrong_results_do_not(task: DemoTask, found: Task, fault: str) -> None:
    assert fault in (judge_task(task, found) or "nothing")


def faults(  # what is wrong with the money of one right sum of 9 cents, some of it changed
    *,
    granted: int = 100,
    left: int = 91,
    earnings: tuple[Earning, ...] | None = None,
    proof: Proof = PROOF,
) -> list[str]:
    task = done(SUM, "2")
    if earnings is None:
        earnings = (earning(task, 9, 2, 7),)
    return judge_money(
        granted, [task], Balance(balance_cents=left), {PYTHON: earnings, TEXT: ()}, proof
    )


def test_money_that_adds_up_passes() -> None:
    assert faults() == []


def test_money_that_does_not_add_up_is_found() -> None:
    task = done(SUM, "2")
    (left,) = faults(left=90)
    assert "has 90" in left
    (lost,) = faults(earnings=())
    assert "stands 0 times" in lost
    (twice,) = faults(earnings=(earning(task, 9, 2, 7),) * 2)
    assert "stands 2 times" in twice
    (less,) = faults(earnings=(earning(task, 8, 2, 6),))
    assert "cost 9 cents" in less
    (cent,) = faults(earnings=(earning(task, 9, 2, 6),))
    assert "cost 9 cents" in cent


def test_a_ledger_that_is_not_proved_is_found() -> None:
    broken = Proof(False, 3, 8, 5, -1, ["transfer txn_1 sums to -1"])  # noqa: FBT003 - see above
    assert faults(proof=broken) == [
        "the ledger: transfer txn_1 sums to -1",
        "the ledger does not add up: its sum is -1 cents",
    ]


def board_of_one() -> tuple[Board, PostedTask]:
    return Board([SUM]), PostedTask(id="task_sum", category=PYTHON, price_cents=9)


def test_events_may_come_before_the_answer() -> None:
    board, answer = board_of_one()
    queued = Event(id="1", type="task.queued", task_id="task_sum", status="queued")
    ended = Event(id="2", type="task.completed", task_id="task_sum", status="completed")
    assert board.apply(queued) is None
    assert board.apply(ended) is None
    assert not board.over.is_set()
    assert board.posted(board.rows[0], answer) == [queued, ended]
    assert board.rows[0].status == "completed"
    assert board.over.is_set()


def test_a_task_that_its_worker_gave_up_is_not_waited_for() -> None:
    """There is no other worker for it: it would stay in the queue until the demo's time is up."""
    board, answer = board_of_one()
    row = board.rows[0]
    board.posted(row, answer)
    board.heard(WorkerNews("task", task_id="task_sum", outcome="failed", label="exit code 1"))
    assert board.over.is_set()
    found = done(SUM, None, status="queued")
    row.settle(found, judge_task(SUM, found))
    assert row.wrong == "is queued, not completed: its worker says failed, exit code 1"


def test_one_wrong_result_or_one_dead_process_spoils_the_outcome() -> None:
    def outcome(result: str, faults: list[str]) -> bool:
        board, answer = board_of_one()
        board.posted(board.rows[0], answer)
        found = done(SUM, result, cents=0)
        board.rows[0].settle(found, judge_task(SUM, found))
        findings = Findings((), Balance(balance_cents=500), {}, PROOF)
        return findings.outcome(board, faults, 1.0).ok

    assert outcome("2", [])
    assert not outcome("3", [])
    assert not outcome("2", ["the server was ended by SIGKILL"])
