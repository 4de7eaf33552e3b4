import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs.events import rules
from openclaw_jobs.events.models import Event, NewEvent, WakeMessage
from openclaw_jobs.kit.errors import Problem

_AT = "2026-01-15T12:00:00.000Z"


def test_an_event_s_json_has_what_the_contract_names_and_nothing_else() -> None:
    about_task = NewEvent("byr_a", "task.queued", "task_1", {"status": "queued", "price_cents": 12})
    about_money = NewEvent("byr_a", "balance", None, {"balance_cents": 88})

    assert json.loads(rules.event_json(about_task, _AT)) == {
        "task_id": "task_1",
        "status": "queued",
        "price_cents": 12,
        "at": _AT,
    }
    assert json.loads(rules.event_json(about_money, _AT)) == {"balance_cents": 88, "at": _AT}


@given(st.text())
def test_no_text_breaks_out_of_its_line_or_its_list(progress: str) -> None:
    event = NewEvent("byr_a", "task.progress", "task_1", {"progress": progress})

    text = rules.event_json(event, _AT)

    # LF, CR and CRLF end a line of a stream; U+001F parts the lists that go to the database.
    assert not any(ord(c) < 0x20 for c in text)
    assert json.loads(text)["progress"] == progress


def test_a_frame_has_the_sequence_the_type_and_the_data() -> None:
    events = [Event(7, "task.claimed", "task_1", '{"at":"x"}'), Event(8, "balance", None, "{}")]

    assert rules.frames(events) == (
        b'id: 7\nevent: task.claimed\ndata: {"at":"x"}\n\nid: 8\nevent: balance\ndata: {}\n\n'
    )


@pytest.mark.parametrize(
    ("value", "seq"), [(None, None), ("0", 0), ("41", 41), (str(2**63 - 1), 2**63 - 1)]
)
def test_a_last_event_id_of_ours_is_read(value: str | None, seq: int | None) -> None:
    assert rules.parse_last_event_id(value) == seq


@pytest.mark.parametrize(
    "value", ["", "-1", "+1", " 1", "1.0", "1_0", "abc", "٣", "1\n", str(2**63), "9" * 40]
)
def test_a_last_event_id_that_was_never_sent_is_refused(value: str) -> None:
    with pytest.raises(Problem) as refusal:
        rules.parse_last_event_id(value)

    assert refusal.value.status == 422
    assert refusal.value.code == "validation_failed"
    assert [error.field for error in refusal.value.errors] == ["Last-Event-ID"]


@given(
    st.sets(st.text(min_size=1, max_size=80), max_size=40),
    st.sets(st.text(alphabet="byr_0123456789é\x00\x1f", min_size=1, max_size=300), max_size=150),
)
def test_payloads_name_all_and_each_fits_a_notification(queue: set[str], buyers: set[str]) -> None:
    payloads = rules.wake_payloads("node-1", queue, buyers, everything=False)

    messages = [rules.read_wake(payload) for payload in payloads]
    assert all(len(payload.encode()) < 8000 for payload in payloads)
    assert not any("\x1f" in payload or "\x00" in payload for payload in payloads)
    assert {name for m in messages if m for name in m.q} == queue
    assert {name for m in messages if m for name in m.b} == buyers
    assert all(m is not None and m.n == "node-1" and not m.a for m in messages)


def test_two_hundred_buyers_fit_one_payload() -> None:
    buyers = {f"byr_{n:026d}" for n in range(200)}

    assert len(rules.wake_payloads("node-1", {"general"}, buyers, everything=False)) == 1


def test_nothing_to_say_is_no_payload() -> None:
    assert rules.wake_payloads("node-1", (), (), everything=False) == []


def test_everything_is_one_payload_whatever_else_is_named() -> None:
    payloads = rules.wake_payloads("node-1", {"general"}, {"byr_a"}, everything=True)

    assert [rules.read_wake(p) for p in payloads] == [WakeMessage(n="node-1", a=True)]


def test_a_name_too_long_for_any_payload_wakes_everybody() -> None:
    payloads = rules.wake_payloads("node-1", {"x" * 9000}, {"byr_a"}, everything=False)

    assert [rules.read_wake(p) for p in payloads] == [WakeMessage(n="node-1", a=True)]


@pytest.mark.parametrize("payload", ["", "{", "[]", '{"q":["general"]}', '{"n":1}'])
def test_a_foreign_notification_is_no_message(payload: str) -> None:
    assert rules.read_wake(payload) is None


def test_a_later_version_s_message_is_still_read() -> None:
    assert rules.read_wake('{"n":"node-2","b":["byr_a"],"later":1}') == WakeMessage(
        n="node-2", b=("byr_a",)
    )
