"""An agent that counts: the statistics of a text, as Markdown.

A first paragraph that ends with a colon is taken for the instruction and left out. A word is a
run of letters and digits, with apostrophes, hyphens and decimal points inside it; a sentence ends
at `.`, `!`, `?` or `…` before a space or the end. Both suit languages that write spaces.
"""

import re
import sys
from collections import Counter
from typing import Final, NamedTuple

from openclaw_jobs.demo.agents.reading import progress, read_task

__all__ = ["TextStats", "as_markdown", "main", "measure", "subject_of"]

WORDS_PER_MINUTE: Final = 238
"""Silent reading of English non-fiction by adults (Brysbaert 2019, a review of 190 studies)."""

_WORD: Final = re.compile(r"\d+(?:[.,]\d+)+|[^\W_]+(?:['’\-][^\W_]+)*")  # noqa: RUF001 - as people type
_SENTENCE_END: Final = re.compile(r"[.!?…]+[\"'“”‘’»«)\]]*(?=\s|$)")  # noqa: RUF001 - as people type
_LONGEST: Final = 3
_FREQUENT: Final = 5
_FREQUENT_LETTERS: Final = 4
_BAR: Final = 20


class TextStats(NamedTuple):
    """What was counted. Times are seconds; words are compared without regard to case."""

    words: int
    unique_words: int
    sentences: int
    paragraphs: int
    characters: int
    characters_without_spaces: int
    reading_s: int
    longest: tuple[str, ...]
    frequent: tuple[tuple[str, int], ...]


def subject_of(task: str) -> str:
    """The text to count in a task, without the instruction before it."""
    text = task.replace("\r\n", "\n").strip()
    first, gap, rest = text.partition("\n\n")
    return rest.strip() if gap and first.rstrip().endswith(":") else text


def measure(text: str) -> TextStats:
    """Count what is in a text."""
    words = [found.group() for found in _WORD.finditer(text)]
    folded = Counter(word.casefold() for word in words)
    by_length = sorted(folded, key=lambda word: (-len(word), word))
    long_enough = Counter({w: n for w, n in folded.items() if len(w) >= _FREQUENT_LETTERS})
    by_count = sorted(long_enough.items(), key=lambda item: (-item[1], item[0]))
    return TextStats(
        words=len(words),
        unique_words=len(folded),
        sentences=_sentences(text),
        paragraphs=sum(bool(part.strip()) for part in re.split(r"\n\s*\n", text)),
        characters=len(text),
        characters_without_spaces=sum(not letter.isspace() for letter in text),
        reading_s=-(-len(words) * 60 // WORDS_PER_MINUTE),
        longest=tuple(by_length[:_LONGEST]),
        frequent=tuple(by_count[:_FREQUENT]),
    )


def _sentences(text: str) -> int:
    """Ends of sentences, and one more if there are words after the last."""
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    rest = text[ends[-1] :] if ends else text
    return len(ends) + bool(_WORD.search(rest))


def as_markdown(stats: TextStats) -> str:
    """The result as the buyer gets it."""
    facts = {
        "words": f"{stats.words}",
        "different words": f"{stats.unique_words}",
        "sentences": f"{stats.sentences}",
        "paragraphs": f"{stats.paragraphs}",
        "characters": f"{stats.characters}",
        "characters without spaces": f"{stats.characters_without_spaces}",
        "words per sentence": f"{stats.words / max(1, stats.sentences):.1f}",
        "reading time": _duration(stats.reading_s),
        "longest words": ", ".join(stats.longest),
    }
    lines = [
        f"**{stats.words} words, {stats.sentences} sentences**, {facts['reading time']} to read",
        "",
        "| measure | value |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in facts.items()),
    ]
    if stats.frequent:
        most = stats.frequent[0][1]
        lines += ["", f"| word of {_FREQUENT_LETTERS} letters or more | times | |"]
        lines += ["| --- | --- | --- |"]
        lines += [f"| {w} | {n} | {'█' * -(-_BAR * n // most)} |" for w, n in stats.frequent]
    return "\n".join(lines) + "\n"


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def main() -> int:
    """Do the task on standard input; the exit code."""
    text = subject_of(read_task())
    progress(f"reading {len(text):,} characters")
    stats = measure(text)
    if stats.words == 0:
        sys.stderr.write("there is no word in this text\n")
        return 1
    sys.stdout.buffer.write(as_markdown(stats).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
