"""Answering a repeated request with the first answer: what its two halves say to each other.

The door finds out which request it is (`ReplayKey`); the transaction that has the effect stores
the answer under that key, or raises `Replayed` when one is already there.
"""

import msgspec


class ReplayKey(msgspec.Struct, frozen=True, kw_only=True):
    """Which request this is, as the caller's `Idempotency-Key` names it.

    Attributes:
        caller: Who calls: a buyer's or worker's id, `operator`, or `address:…` for nobody known.
        route: Method and path, such as `POST /api/task/task_…/cancel`.
        key: The header's value, 1 to 255 printable ASCII characters.
        body_hash: SHA-256 of the body as it was received.
        refuse: The answer holds a secret: record the key without its answer, and answer a reuse
            with 409 `idempotency_conflict` whatever its body.
    """

    caller: str
    route: str
    key: str
    body_hash: bytes
    refuse: bool = False


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it was first given: status, the headers worth repeating, and the JSON text."""

    status: int
    headers: dict[str, str]
    content: str


class Replayed(Exception):  # noqa: N818 - an outcome, not an error
    """The request was answered before; the door sends `answer` again."""

    def __init__(self, answer: StoredAnswer) -> None:
        """See the class."""
        super().__init__(f"already answered with {answer.status}")
        self.answer = answer
