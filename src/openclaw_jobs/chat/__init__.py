"""Conversations: what a buyer said, the tasks that answer it, drafts, and shared results."""

from openclaw_jobs.chat.models import (
    Answer,
    Conversation,
    ConversationPage,
    Draft,
    Hit,
    Share,
    SharedResult,
    Turn,
)

__all__ = [
    "Answer",
    "Conversation",
    "ConversationPage",
    "Draft",
    "Hit",
    "Share",
    "SharedResult",
    "Turn",
]
