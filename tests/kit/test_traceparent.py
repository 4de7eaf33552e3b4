"""Reading and writing `traceparent`."""

import re
from datetime import UTC, datetime

import pytest

from openclaw_jobs.kit.traceparent import Trace, fresh, looks_random, parse

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_header_is_read_and_written() -> None:
    trace = Trace(bytes.fromhex(TRACE), bytes.fromhex(SPAN))
    assert parse(f"00-{TRACE}-{SPAN}-00") == trace
    assert str(trace) == f"00-{TRACE}-{SPAN}-01"
    # A later version may say more; what is known of it is read.
    assert parse(f"01-{TRACE}-{SPAN}-01-what-will-be") == trace


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-\u0660\u0661",
    ],
)
def test_what_is_not_well_formed_is_nothing(header: str) -> None:
    assert parse(header) is None


def test_fresh_ones_differ_and_have_the_form() -> None:
    made = {str(fresh()) for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", text) for text in made)


@pytest.mark.parametrize(
    ("trace_id", "random"),
    [
        (TRACE, True),
        ("0000000000000000" + TRACE[:16], False),
        (TRACE[:16] + "0000000000000000", False),
        (f"{int(NOW.timestamp()):08x}" + TRACE[8:], False),
        (f"{int(NOW.timestamp()) - 86_400:08x}" + TRACE[8:], False),
    ],
)
def test_ids_of_a_form_of_their_own_are_told(trace_id: str, random: bool) -> None:  # noqa: FBT001
    assert looks_random(bytes.fromhex(trace_id), NOW) is random
