"""Typed, time-sortable identifiers such as `task_01h455vb4pex5vsknk084sn02q`.

The format is TypeID (https://github.com/jetify-com/typeid): a prefix and a UUIDv7 (RFC 9562)
in Crockford's base 32, so ids of one type sort by the time they were made.
"""

import re
import uuid
from datetime import datetime
from typing import Literal

import uuid_utils
from typeid import TypeID

IdPrefix = Literal[
    "task",
    "wrk",
    "byr",
    "usr",
    "key",
    "pay",
    "dep",
    "txn",
    "req",
    "aud",
    "chk",  # a check
    "gold",  # a gold task
    "sus",  # a suspension
    "ses",  # a session
    "cnv",  # a conversation
    "turn",  # a turn of one
    "shr",  # a shared result
    "flag",  # a flag
]

_ID = re.compile(r"([a-z]{3,4})_[0-7][0-9a-hjkmnp-tv-z]{25}", re.ASCII)


def new_id(prefix: IdPrefix) -> str:
    """Make a new id of the type that `prefix` names."""
    return str(TypeID(prefix))


def typed_id(prefix: IdPrefix, value: uuid.UUID) -> str:
    """The id of this type that stands for a UUID kept without its type."""
    return str(TypeID.from_uuid(uuid_utils.UUID(bytes=value.bytes), prefix))


def first_id(prefix: IdPrefix, moment: datetime) -> str:
    """An id under all that are made from this moment on: what a list of a time begins behind."""
    milliseconds = max(0, round(moment.timestamp() * 1000))
    return typed_id(prefix, uuid.UUID(int=milliseconds << 80))


def is_id(prefix: IdPrefix, value: str) -> bool:
    """Whether `value` has the form of an id of this type; says nothing of its existence."""
    match = _ID.fullmatch(value)
    return match is not None and match[1] == prefix
