"""Rules of conversations: pure functions."""

import hashlib
import re
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from openclaw_jobs.chat.models import Answer, AnswerOutline, Found, Hit, TurnOutline
from openclaw_jobs.kit.errors import Problem, invalid
from openclaw_jobs.tasks import TERMINAL, Message

MAX_TITLE_CHARS: Final = 120
MAX_SEARCH_CHARS: Final = 200
_TITLE_CHARS: Final = 60
_MAX_WORDS: Final = 12
_AROUND_CHARS: Final = 70
_ENVELOPE_BYTES: Final = 1024
"""What an order holds beside its messages: category, ids, names of fields."""
_MAX_KEY_CHARS: Final = 255
_WORD: Final = re.compile(r"\w+")

A = TypeVar("A", Answer, AnswerOutline)


# ------------------------------------------------------------------------------ answers of a turn


def chosen(answers: Sequence[A], chosen_task_id: str | None) -> A | None:
    """The answer that stands for its turn in what follows; None if there is no result yet.

    The one that the buyer chose; or the first result that it did not have its money back for; or
    the first result at all.
    """
    with_result = [answer for answer in answers if _has_result(answer)]
    for answer in with_result:
        if answer.task_id == chosen_task_id:
            return answer
    kept = [answer for answer in with_result if answer.status != "credited"]
    return next(iter(kept or with_result), None)


def is_open(answers: Sequence[A]) -> bool:
    """Whether a task of this turn is still waiting or being worked on."""
    return any(answer.status not in TERMINAL for answer in answers)


def refuse_unanswered(turns: Sequence[TurnOutline]) -> None:
    """Let nobody go on before the last turn is answered or over.

    Raises:
        Problem: `wrong_state`.
    """
    if turns:
        last = turns[-1]
        if is_open(last.answers) and chosen(last.answers, last.chosen_task_id) is None:
            raise Problem(
                "wrong_state",
                "The last message is still being answered. Wait for the answer, or cancel it.",
            )


def check_repeatable(answers: Sequence[AnswerOutline], *, another: bool) -> None:
    """See that a turn may be answered once more.

    Args:
        answers: Those it has.
        another: To have a second opinion; otherwise to try again what came to nothing.

    Raises:
        Problem: `wrong_state`.
    """
    if is_open(answers):
        raise Problem("wrong_state", "This message is still being answered.")
    answered = chosen(answers, None) is not None
    if another and not answered:
        raise Problem("wrong_state", "There is no answer yet to compare another one with.")
    if not another and answered:
        raise Problem("wrong_state", "This message has been answered.")


def _has_result(answer: Answer | AnswerOutline) -> bool:
    if isinstance(answer, AnswerOutline):
        return answer.result_bytes is not None
    return answer.result is not None


# ----------------------------------------------------------------------------------- the history


def worth_sending(
    turns: Sequence[TurnOutline], limit_bytes: int
) -> list[tuple[TurnOutline, AnswerOutline]]:
    """The answered turns that may fit into a task, oldest first, by the bytes of their texts.

    Turns that came to nothing are no part of what was said.
    """
    picked: list[tuple[TurnOutline, AnswerOutline]] = []
    left = limit_bytes
    for turn in reversed(turns):
        answer = chosen(turn.answers, turn.chosen_task_id)
        if answer is None:
            continue
        left -= turn.prompt_bytes + (answer.result_bytes or 0)
        if left < 0:
            break
        picked.append((turn, answer))
    return picked[::-1]


def count_answered(turns: Sequence[TurnOutline]) -> int:
    """How many turns have an answer."""
    return sum(chosen(turn.answers, turn.chosen_task_id) is not None for turn in turns)


def fit(
    exchanges: Sequence[tuple[str, str]], prompt: str, limit_bytes: int
) -> tuple[list[Message], int]:
    """The messages of a task: what was said before, as far back as there is room, and the prompt.

    Args:
        exchanges: Prompts and their answers, oldest first.
        prompt: What is said now.
        limit_bytes: What a task's input may have in all, as JSON.

    Returns:
        The messages, and how many of `exchanges` are in them.

    Raises:
        Problem: `payload_too_large`: not even the prompt fits.
    """
    asked = Message("user", prompt)
    left = limit_bytes - _ENVELOPE_BYTES - _size(asked)
    if left < 0:
        raise Problem(
            "payload_too_large",
            f"This message is too long: a task may have at most {limit_bytes // 1024} KiB of text.",
            limit_bytes=limit_bytes,
        )
    kept: list[list[Message]] = []
    for said, answered in reversed(exchanges):
        pair = [Message("user", said), Message("assistant", answered)]
        left -= sum(map(_size, pair))
        if left < 0:
            break
        kept.append(pair)
    return [message for pair in reversed(kept) for message in pair] + [asked], len(kept)


def _size(message: Message) -> int:
    return len(msgspec.json.encode(message)) + 1


# ------------------------------------------------------------------------------- names and texts


def first_title(prompt: str) -> str:
    """What a conversation is called after its first message."""
    line = next((line for line in prompt.splitlines() if line.strip()), "")
    words = " ".join(visible(line).split()).lstrip("#>*-` ")
    if len(words) <= _TITLE_CHARS:
        return words or "Untitled"
    cut = words[:_TITLE_CHARS].rsplit(" ", 1)[0]
    return f"{cut}…"


def checked_title(title: str) -> str:
    """A title as it is kept.

    Raises:
        Problem: `validation_failed`: it is empty or too long.
    """
    words = " ".join(visible(title).split())
    if not words:
        raise invalid("title", "A conversation needs a title.")
    if len(words) > MAX_TITLE_CHARS:
        raise invalid("title", f"A title may have at most {MAX_TITLE_CHARS} characters.")
    return words


def checked_prompt(prompt: str) -> str:
    """A message as it is kept: as it was written, with the newlines of this world.

    Raises:
        Problem: `validation_failed`: it is empty or holds what no text may.
    """
    text = prompt.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise invalid("prompt", "The message is empty.")
    return checked_text("prompt", text)


def checked_text(field: str, text: str) -> str:
    """A text that can be stored and sent.

    Raises:
        Problem: `validation_failed`: NUL, or half of a surrogate pair.
    """
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise invalid(field, "NUL characters and lone surrogates are not allowed in text.")
    return text


def visible(text: str) -> str:
    """A text without control and direction characters, for where it stands in a line of ours."""
    return "".join(char if char.isprintable() or char.isspace() else " " for char in text)


def sending_key(buyer_id: str, key: str, *parts: str) -> bytes:
    """What tells one sending from another: the page's key, and what is sent with it.

    What is sent counts, so that a page that was gone back to can send something else.

    Raises:
        Problem: `invalid_idempotency_key`.
    """
    if not 0 < len(key) <= _MAX_KEY_CHARS or not (key.isascii() and key.isprintable()):
        raise Problem(
            "invalid_idempotency_key", "A key must be 1 to 255 printable ASCII characters."
        )
    return hashlib.sha256(msgspec.json.encode([buyer_id, key, *parts])).digest()


# ---------------------------------------------------------------------------------------- search


def search_words(text: str) -> list[str]:
    """The words of a search, in small letters; empty if there are none."""
    words = [word.lower() for word in _WORD.findall(text[:MAX_SEARCH_CHARS])]
    return list(dict.fromkeys(words))[:_MAX_WORDS]


def search_query(words: Sequence[str]) -> str:
    """A search for texts with all of these words, or words that begin so, as a tsquery."""
    return " & ".join(f"'{word}':*" for word in words)


def as_hit(found: Found, words: Sequence[str]) -> Hit:
    """A finding with the first place of its words and what stands around it."""
    before, match, after = excerpt(found.text, words)
    return Hit(
        conversation_id=found.conversation_id,
        title=found.title,
        updated_at=found.updated_at,
        seq=found.seq,
        kind=found.kind,
        before=before,
        match=match,
        after=after,
    )


def excerpt(text: str, words: Sequence[str]) -> tuple[str, str, str]:
    """The first match of any of the words in a text, with some text before and after it."""
    flat = " ".join(visible(text).split())
    pattern = "|".join(re.escape(word) for word in words)
    match = re.search(rf"(?<!\w)(?:{pattern})\w*", flat, re.IGNORECASE) if pattern else None
    if match is None:
        return flat[: 2 * _AROUND_CHARS], "", ""
    start, end = match.span()
    first = max(0, start - _AROUND_CHARS)
    if first:
        # Not in the middle of a word, unless it is a very long one.
        first = max(first, flat.find(" ", first, start) + 1)
    last = min(len(flat), end + _AROUND_CHARS)
    before = ("…" if first else "") + flat[first:start]
    after = flat[end:last] + ("…" if last < len(flat) else "")
    return before, flat[start:end], after
