"""Rules of conversations."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_jobs.chat import rules
from openclaw_jobs.chat.models import AnswerOutline, TurnOutline
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.tasks import Message, TaskStatus

LIMIT = 131_072
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


def answer(name: str, status: TaskStatus = "completed", size: int | None = 5) -> AnswerOutline:
    return AnswerOutline(name, 1, status, size)


def turn(seq: int, *answers: AnswerOutline, chosen: str | None = None) -> TurnOutline:
    return TurnOutline(f"turn{seq}", seq, 10, chosen, answers)


@pytest.mark.parametrize(
    ("answers", "chosen", "stands"),
    [
        ([], None, None),
        ([answer("a", "queued", None)], None, None),
        ([answer("a", "failed", None), answer("b")], None, "b"),
        ([answer("a"), answer("b")], None, "a"),
        ([answer("a"), answer("b")], "b", "b"),
        ([answer("a"), answer("b", "queued", None)], "b", "a"),
        ([answer("a", "credited"), answer("b")], None, "b"),
        ([answer("a", "credited"), answer("b", "claimed", None)], None, "a"),
        ([answer("a", "credited"), answer("b")], "a", "a"),
        ([answer("a", "credit_review"), answer("b")], None, "a"),
    ],
)
def test_which_answer_stands_for_a_turn(
    answers: list[AnswerOutline], chosen: str | None, stands: str | None
) -> None:
    found = rules.chosen(answers, chosen)
    assert (found and found.task_id) == stands


def test_nobody_goes_on_before_the_answer() -> None:
    rules.refuse_unanswered([])
    rules.refuse_unanswered([turn(1, answer("a"))])
    rules.refuse_unanswered([turn(1, answer("a", "failed", None))])
    # An answer is there, and another one is under way.
    rules.refuse_unanswered([turn(1, answer("a"), answer("b", "queued", None))])
    for status in ("queued", "claimed"):
        with pytest.raises(Problem, match="wrong_state"):
            rules.refuse_unanswered([turn(1, answer("a", status, None))])


def test_what_may_be_answered_again() -> None:
    failed, done, waiting = answer("a", "failed", None), answer("b"), answer("c", "queued", None)
    rules.check_repeatable([failed], another=False)
    rules.check_repeatable([done], another=True)
    for answers, another in [
        ([failed], True),
        ([done], False),
        ([failed, waiting], False),
        ([done, waiting], True),
    ]:
        with pytest.raises(Problem, match="wrong_state"):
            rules.check_repeatable(answers, another=another)


def test_what_came_to_nothing_is_no_part_of_the_history() -> None:
    turns = [turn(1, answer("a")), turn(2, answer("b", "cancelled", None)), turn(3, answer("c"))]
    worth = rules.worth_sending(turns, LIMIT)
    assert [one.seq for one, _ in worth] == [1, 3]
    assert [one.seq for one, _ in rules.worth_sending(turns, 20)] == [3]
    assert rules.worth_sending(turns, 10) == []
    assert rules.count_answered(turns) == 2


@given(st.lists(st.tuples(text, text), max_size=8), text, st.integers(1200, 6000))
def test_the_history_is_cut_at_its_old_end_and_fits(
    exchanges: list[tuple[str, str]], prompt: str, limit: int
) -> None:
    if len(msgspec.json.encode(Message("user", prompt))) > limit - 1025:
        with pytest.raises(Problem, match="payload_too_large"):
            rules.fit(exchanges, prompt, limit)
        return
    messages, included = rules.fit(exchanges, prompt, limit)
    assert len(msgspec.json.encode(messages)) <= limit - 1000
    assert messages[-1].content == prompt
    said = [(m.role, m.content) for m in messages[:-1]]
    kept = exchanges[len(exchanges) - included :]
    assert said == [pair for q, a in kept for pair in (("user", q), ("assistant", a))]
    if included < len(exchanges):
        # There was no room for one more.
        more = [{"role": "assistant", "content": t} for t in exchanges[-included - 1]]
        assert len(msgspec.json.encode([messages, more])) > limit - 1100


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("Hello", "Hello"),
        ("\n\n  ## Summarise   this\nand that", "Summarise this"),
        ("one " * 40, "one one one one one one one one one one one one one one one…"),
        ("\u202egnp.exe\u200b", "gnp.exe"),
        ("***", "Untitled"),
    ],
)
def test_a_conversation_is_called_after_its_first_line(prompt: str, title: str) -> None:
    assert rules.first_title(prompt) == title


def test_titles_have_a_length() -> None:
    assert rules.checked_title("  a \n b ") == "a b"
    for bad in ("", " \u200b ", "x" * 121):
        with pytest.raises(Problem, match="title"):
            rules.checked_title(bad)


def test_texts_that_cannot_be_sent() -> None:
    assert rules.checked_prompt("a\r\nb\rc") == "a\nb\nc"
    for bad in ("", " \n ", "a\x00", "\ud800"):
        with pytest.raises(Problem, match="validation_failed"):
            rules.checked_prompt(bad)


def test_the_same_sending_has_the_same_key_and_no_other_has() -> None:
    key = rules.sending_key("byr_1", "k", "cnv", "text")
    assert key == rules.sending_key("byr_1", "k", "cnv", "text")
    others = [("byr_2", "k", "cnv", "text"), ("byr_1", "l", "cnv", "text")]
    others += [("byr_1", "k", "cnv", "tex"), ("byr_1", "k", "cnvt", "ext")]
    assert key not in {rules.sending_key(*parts) for parts in others}
    for bad in ("", "x" * 256, "\n", "é"):
        with pytest.raises(Problem, match="invalid_idempotency_key"):
            rules.sending_key("byr_1", bad)


@given(text)
def test_any_text_makes_a_search(wanted: str) -> None:
    words = rules.search_words(wanted)
    assert len(words) <= 12
    assert all("'" not in word and "\\" not in word for word in words)


def test_an_excerpt_shows_the_words_and_some_of_what_is_around_them() -> None:
    long = "before " * 40 + "The Needle\nin the hay " + "after " * 40
    before, match, after = rules.excerpt(long, ["needl"])
    assert match == "Needle"
    assert before.startswith("…before ")
    assert before.endswith("before The ")
    assert after.startswith(" in the hay after")
    assert after.endswith("…")
    assert rules.excerpt("nothing here", ["needle"]) == ("nothing here", "", "")


def test_a_search_for_signs_is_no_pattern() -> None:
    assert rules.excerpt("say a.b now", ["a.b"])[1] == "a.b"
    assert rules.excerpt("say axb now", ["a.b"])[1] == ""
    assert rules.excerpt("f(x", ["f("])[1] == "f(x"
