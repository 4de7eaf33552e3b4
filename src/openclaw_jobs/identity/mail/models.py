"""What is mailed, and what may come of it."""

from typing import Literal

import msgspec


class Mail(msgspec.Struct, frozen=True):
    """A letter in plain text."""

    recipient: str
    subject: str
    body: str


class OutgoingMail(msgspec.Struct, frozen=True):
    """A letter that waits to be sent; `attempts` counts the one for which it was taken."""

    id: int
    mail: Mail
    attempts: int


class CodeCheck(msgspec.Struct, frozen=True):
    """What a code proved.

    Attributes:
        result: `none` if no code is waited for, `expired` if it came too late, `spent` if too many
            others were tried before, `wrong`, or `right`.
        email: The address that the code was sent to; None for `none`.
        attempts_left: How many more may be tried of this code.
    """

    result: Literal["none", "expired", "spent", "wrong", "right"]
    email: str | None = None
    attempts_left: int = 0


class MailError(Exception):
    """The letter could not be handed over now; later it may be."""


class MailRefusedError(MailError):
    """The letter will never be taken: its recipient does not exist, say."""
