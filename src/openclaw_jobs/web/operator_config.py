"""The configuration's editor: a form for each section, what would change, and who changed what."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import get, post
from litestar.params import FromPath

from openclaw_jobs.economy import SECTIONS, ConfigEntry, ConfigVersion
from openclaw_jobs.economy.rules import diff, merge, parse
from openclaw_jobs.kit.doors import page_options
from openclaw_jobs.kit.errors import FieldError, Problem, invalid, not_found
from openclaw_jobs.market.change_config import change_config, get_config, list_config
from openclaw_jobs.market.look_around import name_actors, read_history
from openclaw_jobs.web import config_form
from openclaw_jobs.web.forms import form_list
from openclaw_jobs.web.operator_acts import READ
from openclaw_jobs.web.pages import Page, PageRequest, redirect, render, site_of, user_of

__all__ = ["HANDLERS", "TRIED", "proposal", "review_page"]

# A section as JSON is larger than the other forms of an operator.
WRITE: Final = page_options(auth="operator", rate="admin", body_limit="task_input")
TRIED: Final = frozenset({"quality", "tiers", "commissions", "dispatch"})
"""Sections whose effect a simulation can show."""

_HISTORY: Final = 10
_MAX_CHARS: Final = 65_536
_REFUSED: Final = 422


@get("/operator/config", opt=READ)
async def sections(request: PageRequest) -> Page:
    """All sections, and when each was changed last."""
    market = site_of(request).market
    entries = await list_config(market)
    latest = {e.key: (await read_history(market, e.key, 1))[0] for e in entries}
    return render(
        request,
        "operator/config.html",
        title="Configuration",
        entries=entries,
        latest=latest,
        about={entry.key: config_form.about(entry.key) for entry in entries},
        names=await name_actors(market, (v.actor for v in latest.values())),
    )


@get("/operator/config/{key:str}", opt=READ)
async def section(request: PageRequest, key: FromPath[str]) -> Page:
    """The form of a section, and its history."""
    entry = await get_config(site_of(request).market, key)
    sent = config_form.as_sent(key, msgspec.to_builtins(entry.value))
    as_json = request.query_params.get("as") == "json"
    return await _edit(request, entry, sent, as_json=as_json)


async def _edit(
    request: PageRequest,
    entry: ConfigEntry,
    sent: config_form.Sent,
    *,
    as_json: bool = False,
    text: str | None = None,
    errors: Sequence[FieldError] = (),
    version: str = "",
) -> Page:
    market = site_of(request).market
    versions = await read_history(market, entry.key, _HISTORY + 1)
    made = config_form.groups(entry.key, sent, errors)
    placed = {e.field for e in errors if any(_is_about(e, g) for g in made)}
    return render(
        request,
        "operator/section.html",
        title=f"Configuration: {entry.key}",
        status=_REFUSED if errors else 200,
        entry=entry,
        about=config_form.about(entry.key),
        groups=made,
        as_json=as_json,
        json=_json(entry.value) if text is None else text,
        others=[e for e in errors if as_json or e.field not in placed],
        wrong=bool(errors),
        version=version or str(entry.version),
        history=_changes(versions)[:_HISTORY],
        names=await name_actors(market, (v.actor for v in versions)),
    )


def _is_about(error: FieldError, group: config_form.Group) -> bool:
    return any(f"{error.field}.".startswith(f"value.{field.name}.") for field in group.fields)


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _changes(versions: Sequence[ConfigVersion]) -> list[tuple[ConfigVersion, list[Any], str]]:
    """Each version with what it changed, and its value as JSON; the first changed nothing."""
    below: list[ConfigVersion | None] = [*versions[1:], None]
    return [
        (
            version,
            [] if before is None else config_differences(before.value, version.value),
            msgspec.json.encode(version.value).decode(),
        )
        for version, before in zip(versions, below, strict=True)
    ]


def config_differences(old: object, new: object, path: str = "") -> list[tuple[str, str, str]]:
    """What differs between two values of a section, as words: path, before, after."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: list[tuple[str, str, str]] = []
        for name in [*new, *(name for name in old if name not in new)]:
            below = f"{path}.{name}" if path else str(name)
            found += config_differences(old.get(name), new.get(name), below)
        return found
    if old == new:
        return []
    return [(path, config_form.shown(old) or "none", config_form.shown(new) or "none")]


async def proposal(request: PageRequest, key: str) -> tuple[dict[str, Any], str, str | None]:
    """What a form proposes: the value, the version that it was made from, and its JSON if it is.

    Raises:
        Problem: `not_found`, or `validation_failed` with what cannot be read.
    """
    if key not in SECTIONS:
        raise not_found("section")
    sent = await form_list(
        request, "version", "json", "as", *config_form.names(key), max_chars=_MAX_CHARS
    )
    version = (sent.get("version") or [""])[0]
    if "json" not in sent:
        value, errors = config_form.read(key, sent)
        if errors:
            raise _Refused(sent, version, None, errors)
        return value, version, None
    text = sent["json"][0]
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        wrong = [FieldError(field="value", message=f"This is not a JSON object: {error}")]
        raise _Refused({}, version, text, wrong) from None
    return found, version, text


class _Refused(Problem):
    """A form that cannot be read, with what it held."""

    def __init__(
        self,
        sent: config_form.Sent,
        version: str,
        text: str | None,
        errors: Sequence[FieldError],
    ) -> None:
        super().__init__("validation_failed", "The form does not fit.", errors=errors)
        self.sent, self.version, self.text = sent, version, text


@post("/operator/config/{key:str}/review", opt=WRITE, status_code=200)
async def review(request: PageRequest, key: FromPath[str]) -> Page:
    """What a change would be, before it is made; or the form again with what is wrong."""
    market = site_of(request).market
    entry = await get_config(market, key)
    try:
        value, version, text = await proposal(request, key)
    except _Refused as refused:
        return await _edit(
            request,
            entry,
            refused.sent or config_form.as_sent(key, msgspec.to_builtins(entry.value)),
            as_json=refused.text is not None,
            text=refused.text,
            errors=refused.errors,
            version=refused.version,
        )
    try:
        return await review_page(request, entry, value, version)
    except Problem as problem:
        return await _edit(
            request,
            entry,
            config_form.as_sent(key, merge(entry.value, value)),
            as_json=text is not None,
            text=text,
            errors=problem.errors,
            version=version,
        )


async def review_page(
    request: PageRequest,
    entry: ConfigEntry,
    value: dict[str, Any],
    version: str,
    **more: Any,  # noqa: ANN401 - what the template wants besides
) -> Page:
    """The page that shows what would change, and asks.

    Raises:
        Problem: `validation_failed`: the value is none of this section.
    """
    new = parse(entry.key, merge(entry.value, value))
    return render(
        request,
        "operator/review.html",
        title=f"Review: {entry.key}",
        entry=entry,
        changes=config_differences(msgspec.to_builtins(entry.value), msgspec.to_builtins(new)),
        proposed=msgspec.json.encode(new).decode(),
        version=version,
        stale=version != str(entry.version),
        can_try=entry.key in TRIED,
        study=more.pop("study", None),
        trouble=more.pop("trouble", ""),
    )


@post("/operator/config/{key:str}", opt=WRITE, status_code=303)
async def save(request: PageRequest, key: FromPath[str]) -> Page:
    """Put a change into force; the same form sent twice changes once."""
    market = site_of(request).market
    where = f"/operator/config/{key}"
    value, version, _ = await proposal(request, key)
    if not version.isdecimal() or len(version) > len(str(2**31)):
        raise invalid("version", "This form is not one of ours; load the page again.")
    try:
        entry = await change_config(market, key, value, int(version), user_of(request))
    except Problem as problem:
        if "version" not in {error.field for error in problem.errors}:
            raise
        present = await get_config(market, key)
        if diff(present.value, parse(key, merge(present.value, value))):
            return await review_page(request, present, value, version)
        entry = present
    told = f"Version {entry.version} of {key} is in force, here at once and everywhere within 5 s."
    return redirect(request, where, flash=("success", told))


HANDLERS: Final = [sections, section, review, save]
