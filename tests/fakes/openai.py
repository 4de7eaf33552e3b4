"""A model server that speaks enough of OpenAI's chat completions."""

import json
from typing import Any

from tests.fakes.asgi import AsgiFake, Receive, Scope, Send, read_body, respond


class ModelServer(AsgiFake):
    """Answers with the last message in capitals; `stream` False ignores the wish for a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stream = True
        self.statuses: list[int] = []
        self.break_off = False
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.loads(await read_body(receive))
        self.requests.append(body)
        self.paths.append(scope["path"])
        self.keys.append({k.decode(): v.decode() for k, v in scope["headers"]}.get("authorization"))
        if self.statuses:
            said = {"error": {"message": "the model said no to sk-secret"}}
            await respond(send, self.statuses.pop(0), json.dumps(said).encode())
            return
        text = body["messages"][-1]["content"].upper()
        usage = {"prompt_tokens": 3, "completion_tokens": 4}
        if not self.stream:
            answer = {"choices": [{"message": {"content": text}}], "usage": usage}
            await respond(send, 200, json.dumps(answer).encode())
            return
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        chunks = [text[start : start + 7] for start in range(0, len(text), 7)]
        lines = [json.dumps({"choices": [{"delta": {"content": part}}]}) for part in chunks]
        if not self.break_off:
            lines += [json.dumps({"choices": [], "usage": usage}), "[DONE]"]
        sent = "".join(f"data: {line}\n\n" for line in lines).encode()
        await send({"type": "http.response.body", "body": sent})
        self.break_off = False
