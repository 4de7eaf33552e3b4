"""GitHub's sign-in over real HTTP, from its public documentation: OAuth apps with PKCE, two calls.

Its person says yes at once. It is strict where GitHub is: a code is good once, for one redirect
URI, one client with its secret, and the verifier of its challenge. Errors of the token endpoint
come with a 200, as GitHub's do.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.fakes.asgi import AsgiFake, Receive, Scope, Send, read_body, respond

Json: TypeAlias = Any

CLIENT_ID = "Iv1.client"
CLIENT_SECRET = "github-secret-of-the-tests"


def _one(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


@dataclass
class GitHubServer(AsgiFake):
    """One person; give it to `async with`."""

    user: Json = field(default_factory=lambda: {"id": 583231, "login": "octocat", "name": "Octo"})
    emails: Json = field(
        default_factory=lambda: [
            {"email": "old@example.com", "primary": False, "verified": True},
            {"email": "octocat@example.com", "primary": True, "verified": True},
        ]
    )
    says_no: bool = False
    broken: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await read_body(receive)).decode()
        path = scope["path"]
        if path in self.broken:
            await respond(send, 503, b"upstream connect error")
        elif path == "/login/oauth/authorize":
            await self._authorize(_one(scope["query_string"].decode()), send)
        elif path == "/login/oauth/access_token":
            await respond(send, 200, json.dumps(self._token(_one(body))).encode())
        elif path in {"/user", "/user/emails"}:
            bearer = dict(scope["headers"]).get(b"authorization", b"").decode()
            known = bearer.removeprefix("Bearer ") in self.tokens
            found = self.user if path == "/user" else self.emails
            answer = found if known else {"message": "Bad credentials"}
            await respond(send, 200 if known else 401, json.dumps(answer).encode())
        else:
            await respond(send, 404, b"{}")

    async def _authorize(self, asked: dict[str, str], send: Send) -> None:
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        assert set(asked["scope"].split()) == {"read:user", "user:email"}
        back = {"state": asked["state"]}
        if self.says_no:
            back["error"] = "access_denied"
        else:
            back["code"] = secrets.token_urlsafe(8)
            self.codes[back["code"]] = asked
        assert urlsplit(asked["redirect_uri"]).path == "/auth/github/callback"
        await respond(send, 302, headers={"location": f"{asked['redirect_uri']}?{urlencode(back)}"})

    def _token(self, sent: dict[str, str]) -> Json:
        asked = self.codes.pop(sent.get("code", ""), None)
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if sent.get("client_id") != CLIENT_ID or sent.get("client_secret") != CLIENT_SECRET:
            return {"error": "incorrect_client_credentials"}
        if asked is None or asked["code_challenge"] != challenge:
            return {"error": "bad_verification_code"}
        if asked["redirect_uri"] != sent.get("redirect_uri"):
            return {"error": "redirect_uri_mismatch"}
        token = f"gho_{secrets.token_urlsafe(12)}"
        self.tokens.add(token)
        return {"access_token": token, "token_type": "bearer", "scope": "read:user,user:email"}
