"""A form for a section of the configuration, made from the type of the section."""

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from openclaw_jobs.economy import SECTIONS
from openclaw_jobs.kit.errors import FieldError

__all__ = ["Field", "Group", "about", "as_sent", "groups", "names", "read", "shown"]

Kind = Literal["number", "bool", "choice", "pairs", "json"]
Sent = Mapping[str, Sequence[str]]
"""A form's values by name, as they come from a browser."""

_SPARE_ROWS: Final = 3
_UNITS: Final = (
    ("_cents", "cents"),
    ("_chars", "characters"),
    ("_seconds", "seconds"),
    ("_hours", "hours"),
    ("_days", "days"),
    ("_percent", "%"),
    ("_rate", "share"),
)
_BYTES: Final = "payload_limits"
_AT_LEAST: Final = re.compile(r"Expected `\w+` >= ([\d.]+)")
_AT_MOST: Final = re.compile(r"Expected `\w+` <= ([\d.]+)")
_UNIONS: Final = (Union, types.UnionType)


class Spec(msgspec.Struct, frozen=True):
    """What one field takes, read off its type."""

    name: str
    kind: Kind
    whole: bool = False
    optional: bool = False
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field as it stands on the page.

    Attributes:
        name: Its dotted path below the section, which is what its input is called.
        label: In words.
        value: As it is typed.
        pairs: Of a table by category: names and values as they are typed, and empty rows.
    """

    name: str
    label: str
    kind: Kind
    value: str
    pairs: list[tuple[str, str]]
    unit: str
    hint: str
    error: str
    optional: bool
    choices: tuple[str, ...]
    least: float | None
    most: float | None
    whole: bool


class Group(msgspec.Struct, frozen=True):
    """Fields of one object within a section; those of the section itself have no title."""

    title: str
    hint: str
    fields: list[Field]


def about(key: str) -> str:
    """What a section is for, by the reference."""
    first_line = (SECTIONS[key].__doc__ or "").partition("\n")[0]
    return _help().get(key, {}).get("") or first_line.partition(";")[0]


def names(key: str) -> list[str]:
    """The names of all inputs of a section's form."""
    found: list[str] = []
    for spec in _specs(key):
        ends = ("", ".key", ".value") if spec.kind == "pairs" else ("",)
        found += [spec.name + end for end in ends]
    return found


def as_sent(key: str, value: object) -> dict[str, list[str]]:
    """A section's value as its form would send it."""
    sent: dict[str, list[str]] = {}
    for spec in _specs(key):
        found = _at(value, spec.name)
        if spec.kind == "pairs" and isinstance(found, Mapping):
            sent[spec.name + ".key"] = [str(name) for name in found]
            sent[spec.name + ".value"] = [shown(item) for item in found.values()]
        elif spec.kind == "json":
            sent[spec.name] = [msgspec.json.format(msgspec.json.encode(found), indent=2).decode()]
        else:
            sent[spec.name] = ["on" if found is True else "" if found is False else shown(found)]
    return sent


def read(key: str, sent: Sent) -> tuple[dict[str, Any], list[FieldError]]:
    """What a form says: the section's value, and what of it cannot be read at all."""
    value: dict[str, Any] = {}
    errors: list[FieldError] = []
    for spec in _specs(key):
        try:
            _put(value, spec.name, _value(spec, sent))
        except ValueError as error:
            errors.append(FieldError(field=f"value.{spec.name}", message=str(error)))
    return value, errors


def groups(key: str, sent: Sent, errors: Sequence[FieldError] = ()) -> list[Group]:
    """The form of a section, filled in with what was typed and what is wrong with it."""
    told = _help().get(key, {})
    found: dict[str, list[Field]] = {}
    for spec in _specs(key):
        title, _, _ = spec.name.rpartition(".")
        found.setdefault(title, []).append(_field(key, spec, sent, told, errors))
    made = [Group(_label(title), told.get(title, ""), inside) for title, inside in found.items()]
    return sorted(made, key=lambda group: group.title != "")


def shown(value: object) -> str:
    """A value in words that a form takes back."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


@cache
def _help() -> dict[str, dict[str, str]]:
    text = files("openclaw_jobs.web").joinpath("config_help.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, str]])


@cache
def _specs(key: str) -> tuple[Spec, ...]:
    return tuple(_walk("", SECTIONS[key]))


def _walk(path: str, section: type[msgspec.Struct]) -> Iterator[Spec]:
    for field in msgspec.structs.fields(section):
        name = f"{path}.{field.name}" if path else field.name
        wanted = field.type
        if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
            yield from _walk(name, wanted)
        else:
            yield _spec(name, wanted)


def _spec(name: str, wanted: Any) -> Spec:  # noqa: ANN401 - an annotation
    parts = list(_parts(wanted))
    kinds = {bare for bare, _ in parts}
    optional = type(None) in kinds
    kinds.discard(type(None))
    if kinds == {bool}:
        return Spec(name, "bool")
    if kinds and kinds <= {int, float}:
        limits = [meta for _, meta in parts if meta is not None]
        least = next((meta.ge for meta in limits if meta.ge is not None), None)
        most = next((meta.le for meta in limits if meta.le is not None), None)
        return Spec(
            name, "number", whole=float not in kinds, optional=optional, least=least, most=most
        )
    if len(kinds) == 1:
        (bare,) = kinds
        if get_origin(bare) is Literal:
            return Spec(name, "choice", optional=optional, choices=get_args(bare))
        if get_origin(bare) is dict:
            inside = {kind for kind, _ in _parts(get_args(bare)[1])}
            if inside <= {int, float}:
                return Spec(name, "pairs", whole=float not in inside)
    return Spec(name, "json")


def _parts(wanted: Any) -> Iterator[tuple[Any, Meta | None]]:  # noqa: ANN401 - an annotation
    """The plain types in an annotation, each with what it is bounded by."""
    if get_origin(wanted) is Annotated:
        bare, *more = get_args(wanted)
        meta = next((m for m in more if isinstance(m, Meta)), None)
        yield from ((inner, own or meta) for inner, own in _parts(bare))
    elif get_origin(wanted) in _UNIONS:
        for part in get_args(wanted):
            yield from _parts(part)
    else:
        yield wanted, None


def _field(
    key: str, spec: Spec, sent: Sent, told: Mapping[str, str], errors: Sequence[FieldError]
) -> Field:
    here = f"value.{spec.name}"
    wrong = [e for e in errors if e.field == here or e.field.startswith(here + ".")]
    words = [
        (f"{e.field.removeprefix(here + '.')}: " if e.field != here else "") + _words(e.message)
        for e in wrong
    ]
    pairs = list(zip(sent.get(spec.name + ".key", ()), sent.get(spec.name + ".value", ())))  # noqa: B905 - as sent
    last = spec.name.rpartition(".")[2]
    return Field(
        name=spec.name,
        label=_label(_bare(last)),
        kind=spec.kind,
        value=(sent.get(spec.name) or [""])[0],
        pairs=[pair for pair in pairs if any(pair)] + [("", "")] * _SPARE_ROWS,
        unit=_unit(key, last),
        hint=told.get(spec.name, ""),
        error=" ".join(words),
        optional=spec.optional,
        choices=spec.choices,
        least=spec.least,
        most=spec.most,
        whole=spec.whole,
    )


def _unit(key: str, name: str) -> str:
    if key == _BYTES:
        return "bytes"
    if name == "cents":
        return "cents"
    return next((unit for end, unit in _UNITS if name.endswith(end)), "")


def _bare(name: str) -> str:
    """A name without the unit, which stands beside the value."""
    if "_to_" in name:
        return name
    return next((name.removesuffix(end) for end, _ in _UNITS[:-1] if name.endswith(end)), name)


def _label(name: str) -> str:
    words = name.replace("_", " ").replace(".", ": ")
    return words[:1].upper() + words[1:]


def _words(message: str) -> str:
    """What msgspec says, as one would say it to a person."""
    for pattern, start in ((_AT_LEAST, "At least"), (_AT_MOST, "At most")):
        match = pattern.match(message)
        if match is not None:
            return f"{start} {match[1]}."
    if message.startswith("Expected `str` matching regex"):
        return "1 to 64 letters, digits, spaces and ._/-, the first a letter or digit."
    return message.replace("`", "").rstrip(".") + "."


def _value(spec: Spec, sent: Sent) -> Any:  # noqa: ANN401 - what JSON may hold
    text = (sent.get(spec.name) or [""])[0].strip()
    if spec.kind == "bool":
        return text != ""
    if spec.kind == "pairs":
        return _table(spec, sent)
    if spec.kind == "number":
        return None if spec.optional and not text else _number(text, whole=spec.whole)
    if spec.kind == "choice":
        return None if spec.optional and not text else text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"This is not JSON: {error}") from None


def _table(spec: Spec, sent: Sent) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in zip(sent.get(spec.name + ".key", ()), sent.get(spec.name + ".value", ())):  # noqa: B905 - as sent
        if not name and not text:
            continue
        if name in found:
            raise ValueError(f"{name} stands there twice.")
        try:
            found[name] = _number(text, whole=spec.whole)
        except ValueError as error:
            raise ValueError(f"{name or 'A row without a name'}: {error}") from None
    return found


def _number(text: str, *, whole: bool) -> float:
    plain = text.replace(",", "").strip()
    try:
        number = float(plain)
    except ValueError:
        raise ValueError("A number, please.") from None
    if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN is not itself
        raise ValueError("A number, please.")
    if not number.is_integer():
        if whole:
            raise ValueError("A whole number, please.")
        return number
    return int(number)


def _at(value: object, path: str) -> object:
    for name in path.split("."):
        value = value[name] if isinstance(value, Mapping) else None
    return value


def _put(value: dict[str, Any], path: str, item: object) -> None:
    *above, last = path.split(".")
    for name in above:
        value = value.setdefault(name, {})
    value[last] = item
