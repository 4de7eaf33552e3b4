"""How an agent gets its task."""

import json
import os
import sys

_TASK_FILE = "OPENCLAW_TASK_FILE"


def read_task() -> str:
    """The text to work on: what the buyer said last, or standard input without a task file.

    The worker program gives a conversation as JSON in the file that `$OPENCLAW_TASK_FILE` names;
    its last turn of the role `user` is the one to answer.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not what the worker program writes.
    """
    # Read in any case, so that whoever writes to us is not left with a broken pipe.
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    file = os.environ.get(_TASK_FILE)
    if not file:
        return text
    with open(file, encoding="utf-8") as opened:  # noqa: PTH123 - saves a short program an import
        messages = json.load(opened)["messages"]
    said = [turn["content"] for turn in messages if turn["role"] == "user"]
    return str(said[-1]) if said else text


def progress(line: str) -> None:
    """Tell the buyer how far the work is."""
    sys.stderr.write(f"progress: {line}\n")
    sys.stderr.flush()
