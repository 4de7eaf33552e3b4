"""Tasks: what a buyer asks for, its life from queued to its end, and its texts."""

from openclaw_jobs.tasks.models import (
    TERMINAL,
    Message,
    NewTask,
    QueuedTask,
    TaskPage,
    TaskStatus,
    TaskView,
)

__all__ = [
    "TERMINAL",
    "Message",
    "NewTask",
    "QueuedTask",
    "TaskPage",
    "TaskStatus",
    "TaskView",
]
