"""The agent that counts: what it counts, and alone on the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_jobs.demo.agents.text_stats import as_markdown, measure, subject_of

AGENT = [sys.executable, "-m", "openclaw_jobs.demo.agents.text_stats"]


def run(text: bytes, **more: str) -> subprocess.CompletedProcess[bytes]:
    kept = {k: v for k, v in os.environ.items() if k != "OPENCLAW_TASK_FILE"}
    return subprocess.run(
        AGENT, input=text, capture_output=True, env=kept | more, timeout=30, check=False
    )


def test_it_counts() -> None:
    stats = measure("The cat sat.\nThe other cat, a half-wit, didn't! Why?\n\nIt cost 3.50")
    assert stats.words == 13
    assert stats.unique_words == 11
    assert stats.sentences == 4
    assert stats.paragraphs == 2
    assert stats.longest == ("half-wit", "didn't", "other")
    assert stats.reading_s == 4


@pytest.mark.parametrize(
    ("text", "words", "sentences"),
    [
        ("", 0, 0),
        (" \n\t ", 0, 0),
        ("?!… — “”", 0, 1),
        ("One", 1, 1),
        ("Er sagte: „Nein.“ Dann ging er.", 6, 2),
        ('She said "Go." He went', 5, 2),
        ("naïve Ärger, œuvre", 3, 1),
        ("wait... what?!", 2, 2),
        ("version 1.2.3 is out", 4, 1),
    ],
)
def test_words_and_sentences(text: str, words: int, sentences: int) -> None:
    stats = measure(text)
    assert (stats.words, stats.sentences) == (words, sentences)


def test_frequent_words_are_told_in_one_order() -> None:
    stats = measure("delta alpha beta Beta ALPHA the the the gamma")
    assert stats.frequent == (("alpha", 2), ("beta", 2), ("delta", 1), ("gamma", 1))


@pytest.mark.parametrize(
    ("task", "subject"),
    [
        ("Count this:\n\nOne. Two.", "One. Two."),
        ("Count this:\r\n\r\nOne.", "One."),
        ("No instruction.\n\nTwo.", "No instruction.\n\nTwo."),
        ("Only this:", "Only this:"),
    ],
)
def test_an_instruction_is_left_out(task: str, subject: str) -> None:
    assert subject_of(task) == subject


def test_the_result_is_markdown() -> None:
    text = as_markdown(measure("word " * 600))
    assert text.startswith("**600 words, 1 sentences**, 2 min 32 s to read\n")
    assert "| word | 600 | ████████████████████ |" in text


def test_alone_on_the_command_line() -> None:
    done = run("Über den Wolken. Ja!".encode())
    assert done.returncode == 0
    assert "| words | 4 |" in done.stdout.decode()
    assert done.stderr == b"progress: reading 20 characters\n"


def test_the_last_turn_of_a_conversation_counts(tmp_path: Path) -> None:
    turns = [("system", "Count."), ("user", "Hello?"), ("assistant", "Yes?"), ("user", "One two.")]
    task = tmp_path / "task.json"
    task.write_text(json.dumps({"messages": [{"role": r, "content": c} for r, c in turns]}))
    done = run(b"a transcript of it all", OPENCLAW_TASK_FILE=str(task))
    assert "| words | 2 |" in done.stdout.decode()


@pytest.mark.parametrize("text", [b"", b" \n", b"?!"])
def test_no_word_is_a_failed_task(text: bytes) -> None:
    done = run(text)
    assert done.returncode == 1
    assert not done.stdout
    assert b"there is no word in this text" in done.stderr


def test_bytes_that_are_no_text() -> None:
    done = run(b"one \xff\xfe two \x00 three")
    assert done.returncode == 0
    assert "| words | 3 |" in done.stdout.decode()


def test_a_long_text_takes_no_long_time() -> None:
    done = run(b"a-" * 60_000)
    assert done.returncode == 0
