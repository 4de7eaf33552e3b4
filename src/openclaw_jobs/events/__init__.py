"""The outbox: what happened to a buyer's tasks and money, in order, on every node.

A use case appends its events in its own transaction (`append`) and after the commit tells who
waits (`Bus.publish`); the `Notifier` carries that to the other nodes. `stream` turns a buyer's
events into Server-Sent Events that resume anywhere.
"""

from openclaw_jobs.events.bus import Bus, QueueListener, Signal, Subscription
from openclaw_jobs.events.models import TERMINAL_TYPES, Event, EventType, NewEvent, Wake
from openclaw_jobs.events.notifier import Notifier
from openclaw_jobs.events.rules import parse_last_event_id
from openclaw_jobs.events.service import append, last_seq, purge, read_after
from openclaw_jobs.events.stream import stream

__all__ = [
    "TERMINAL_TYPES",
    "Bus",
    "Event",
    "EventType",
    "NewEvent",
    "Notifier",
    "QueueListener",
    "Signal",
    "Subscription",
    "Wake",
    "append",
    "last_seq",
    "parse_last_event_id",
    "purge",
    "read_after",
    "stream",
]
