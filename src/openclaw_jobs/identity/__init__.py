"""Who may call: users, and the API keys of buyers. Sessions and roles join with the pages."""

from openclaw_jobs.identity.models import ApiKey, EmailTakenError, NewApiKey
from openclaw_jobs.identity.service import (
    buyers_by_key_hash,
    create_user,
    issue_api_key,
    list_api_keys,
    revoke_api_key,
)

__all__ = [
    "ApiKey",
    "EmailTakenError",
    "NewApiKey",
    "buyers_by_key_hash",
    "create_user",
    "issue_api_key",
    "list_api_keys",
    "revoke_api_key",
]
