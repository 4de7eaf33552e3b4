"""What a buyer is told of a result that may attack whoever reads it."""

from collections.abc import Sequence
from typing import Final

__all__ = ["warnings_in_words"]

_WORDS: Final = {
    "instructions_override": "orders to a program that reads it",
    "asks_for_secrets": "a request for secrets",
    "asks_to_run": "commands that do harm when they are run",
    "invisible_text": "text that cannot be seen",
    "data_url": "a document hidden in a link",
    "script_link": "a link that runs a script",
    "credentials_in_link": "a link with a password or token in it",
    "looks_like_secret": "something that looks like somebody's key",  # nosec B105 - words
}


def warnings_in_words(codes: Sequence[str]) -> str:
    """The codes of `tasks.attacks` as one phrase, empty if there are none."""
    words = [_WORDS.get(code, code) for code in codes]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
