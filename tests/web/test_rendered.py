"""Texts are made into HTML once, and not on the event loop."""

import threading

import pytest
from markupsafe import Markup

from openclaw_jobs.web import rendered as module
from openclaw_jobs.web.rendered import prepare, rendered


@pytest.fixture
def makers(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """Who made something, in order."""
    made: list[threading.Thread] = []

    def render(text: str) -> Markup:
        made.append(threading.current_thread())
        return Markup("<p>{}</p>").format(text)

    monkeypatch.setattr(module, "render_markdown", render)
    monkeypatch.setattr(module, "_kept", module._Kept(4_000))
    return made


async def test_a_long_text_is_made_once_in_a_thread(makers: list[threading.Thread]) -> None:
    await prepare(["long " * 200, "short", None, ""])
    assert [thread is threading.main_thread() for thread in makers] == [False]
    assert rendered("long " * 200) == "<p>" + "long " * 200 + "</p>"
    assert rendered("short") == rendered("short") == "<p>short</p>"
    assert len(makers) == 2
    assert rendered(None) == rendered("") == ""


async def test_what_was_not_read_for_longest_is_forgotten(makers: list[threading.Thread]) -> None:
    texts = [name * 1_000 for name in "abc"]
    await prepare(texts)
    rendered(texts[0])
    rendered("d" * 1_000)
    assert len(makers) == 4
    rendered(texts[0])
    assert len(makers) == 4
    rendered(texts[1])
    assert len(makers) == 5
    # What is larger than all the room is made, and not kept.
    rendered("e" * 5_000)
    rendered("e" * 5_000)
    assert len(makers) == 7
