"""Whether two results of one task say the same.

Deterministic parts first: equality, JSON, programs, lists, numbers. Then the guards, which veto
whatever follows. Only what none of them decides is left to likeness and a threshold. The engine
is pure, symmetric in its two texts, and takes time about linear in them (`MAX_CHARS` at most).
"""

from collections.abc import Callable
from typing import Final

from openclaw_jobs.quality import guards, lists, source, structure
from openclaw_jobs.quality.figures import figures, same_order, unmatched, without_figures
from openclaw_jobs.quality.models import (
    VERSION,
    Comparison,
    Embed,
    Kind,
    Measured,
    Method,
    Settings,
)
from openclaw_jobs.quality.normalise import canonical, clean, plain, without_lead_in, words
from openclaw_jobs.quality.refusals import is_refusal
from openclaw_jobs.quality.similarity import likeness, sequence
from openclaw_jobs.quality.thresholds import threshold

MAX_CHARS: Final = 65_536
"""Longer texts, once cleaned, agree only when they are equal but for form: two people never write
64 KiB alike by chance, and no result holds up a process while it is read."""

_NUMBER_WORDS: Final = 12
_SHORT_WORDS: Final = 10
_ABOUT_NUMBERS: Final = frozenset({"numbers_guard", "order_guard"})
_FILLERS: Final = frozenset({"and", "or", "to"})
_MAX_TEXTS: Final = 100
_ANSWER_WORDS: Final = 4
_SENTENCE_WORDS: Final = 20
_DEFAULT: Final = Settings()


def compare(
    one: str, other: str, *, settings: Settings = _DEFAULT, embed: Embed | None = None
) -> Comparison:
    """Compare two results.

    Args:
        one: A result, as the worker sent it.
        other: Another worker's result of the same task.
        settings: The category's method, threshold and tolerance.
        embed: Embeddings, which the method `semantic` needs.

    Raises:
        ValueError: The method is `semantic` and there is no `embed`.
    """
    found = measure(one, other, settings=settings, embed=embed)
    least: float | None = None
    agree = found.verdict
    why = found.why
    if agree is None:
        least = settings.threshold
        if least is None:
            least = threshold(found.kind, settings.method)
        agree = found.similarity >= least
        why = f"{why}; {found.similarity:.2f} is {'at least' if agree else 'under'} {least:.2f}"
    return Comparison(
        agree=agree,
        similarity=found.similarity,
        method=found.method,
        kind=found.kind,
        threshold=least,
        version=VERSION,
        why=why,
    )


def measure(
    one: str, other: str, *, settings: Settings = _DEFAULT, embed: Embed | None = None
) -> Measured:
    """Do all of `compare` but the threshold; calibration sets that by what is found here."""
    if one == other:
        return _yes("exact", settings.kind or kind_of(one), "the same characters")
    if settings.method is Method.EXACT:
        return _no(0.0, "exact", Kind.PROSE, "the texts differ")
    # Always in one order, so that whose result came first can't matter.
    left, right = sorted((clean(one), clean(other)))
    if max(len(left), len(right)) > MAX_CHARS:
        return _long(left, right)
    return (
        _emptiness_or_refusal(left, right)
        or _json(left, right, settings, embed)
        or _code(left, right, settings)
        or _list(left, right, settings, embed)
        or _text(plain(left), plain(right), settings, embed)
    )


def _yes(method: str, kind: Kind, why: str) -> Measured:
    return Measured(verdict=True, similarity=1.0, method=method, kind=kind, why=why)


def _no(similarity: float, method: str, kind: Kind, why: str) -> Measured:
    return Measured(verdict=False, similarity=similarity, method=method, kind=kind, why=why)


def kind_of(text: str) -> Kind:
    """What one text is taken for; only the beginning of a very long one is looked at."""
    cleaned = clean(text[:MAX_CHARS])[:MAX_CHARS]
    bare = plain(cleaned)
    if not bare:
        return Kind.EMPTY
    tests: tuple[tuple[Kind, Callable[[], bool]], ...] = (
        (Kind.REFUSAL, lambda: is_refusal(bare)),
        (Kind.JSON, lambda: structure.parse(cleaned) is not None),
        (Kind.CODE, lambda: source.program(cleaned) is not None),
        (Kind.LIST, lambda: lists.parse(cleaned) is not None),
        (Kind.NUMBER, lambda: bool(figures(bare)) and not _rest(bare)),
        (Kind.SHORT, lambda: len(words(bare)) <= _SHORT_WORDS),
    )
    return next((kind for kind, holds in tests if holds()), Kind.PROSE)


def _long(left: str, right: str) -> Measured:
    if canonical(plain(left)) == canonical(plain(right)):
        return _yes("normalised", Kind.PROSE, "the same but for case, spaces and marks")
    return _no(0.0, "too_long", Kind.PROSE, f"over {MAX_CHARS} characters, and not the same")


def _emptiness_or_refusal(left: str, right: str) -> Measured | None:
    bare = plain(left), plain(right)
    if not all(bare):
        if not any(bare):
            return _yes("empty", Kind.EMPTY, "both are empty")
        return _no(0.0, "empty", Kind.EMPTY, "one is empty")
    refusing = [is_refusal(text) for text in bare]
    if all(refusing):
        return _yes("refusal", Kind.REFUSAL, "both refuse")
    if any(refusing):
        return _no(0.0, "refusal", Kind.REFUSAL, "one refuses, the other answers")
    return None


def _wanted(settings: Settings, kind: Kind) -> bool:
    return settings.kind in {None, kind}


def _json(left: str, right: str, settings: Settings, embed: Embed | None) -> Measured | None:
    if not _wanted(settings, Kind.JSON):
        return None
    values = structure.parse(left), structure.parse(right)
    if values[0] is None or values[1] is None:
        broken = values[0] is not values[1] and all(map(structure.looks_like, (left, right)))
        why = "one is JSON, the other is broken JSON"
        return _no(0.0, "json", Kind.JSON, why) if broken else None
    found = structure.difference(values[0], values[1])
    if found.where is not None:
        return _no(found.alike / found.leaves, "json", Kind.JSON, found.where)
    if not found.texts:
        return _yes("json", Kind.JSON, "the same value")
    return _json_texts(found, settings, embed)


def _json_texts(found: structure.Difference, settings: Settings, embed: Embed | None) -> Measured:
    """JSON that differs in nothing but the wording of its longer strings."""
    if len(found.texts) > _MAX_TEXTS:
        why = f"{len(found.texts)} texts in it differ"
        return _no(found.alike / found.leaves, "json", Kind.JSON, why)
    score = float(found.alike)
    for path, a, b in found.texts:
        left, right = sorted((plain(clean(a)), plain(clean(b))))
        inner = _text(left, right, settings, embed)
        needed = settings.threshold
        if needed is None and inner.verdict is None:
            needed = threshold(inner.kind, settings.method)
        score += inner.similarity
        agreed = inner.similarity >= (needed or 0.0) if inner.verdict is None else inner.verdict
        if not agreed:
            share = min(1.0, score / found.leaves)
            return _no(share, inner.method, Kind.JSON, f"{path}: {inner.why}")
    return Measured(
        verdict=True,
        similarity=min(1.0, score / found.leaves),
        method="json",
        kind=Kind.JSON,
        why="the same value, with texts that agree",
    )


def _code(left: str, right: str, settings: Settings) -> Measured | None:
    if not _wanted(settings, Kind.CODE):
        return None
    programs = source.program(left), source.program(right)
    if settings.kind is Kind.CODE:
        programs = programs[0] or left, programs[1] or right
    if programs[0] is None or programs[1] is None:
        return None
    tokens = source.tokens(programs[0]), source.tokens(programs[1])
    if tokens[0] == tokens[1]:
        return _yes("code", Kind.CODE, "the same program but for comments, spacing and local names")
    # Nearly the same program is more often a broken one than another way to write it, so that
    # no likeness is enough; it is kept as evidence.
    return _no(sequence(*tokens), "code", Kind.CODE, "the programs differ")


def _list(left: str, right: str, settings: Settings, embed: Embed | None) -> Measured | None:
    if not _wanted(settings, Kind.LIST):
        return None
    found = lists.parse(left), lists.parse(right)
    if found[0] is None or found[1] is None:
        return None
    if settings.method is Method.NORMALISED:
        measured = lists.match(found[0], found[1], lambda a, b: float(a == b))
        agree = measured.similarity == 1.0
        return (
            _yes("list", Kind.LIST, measured.why)
            if agree
            else _no(measured.similarity, "list", Kind.LIST, measured.why)
        )
    measured = lists.match(
        found[0],
        found[1],
        lambda a, b: likeness(a, b, settings.method, embed),
        settings.number_tolerance,
    )
    if measured.objection is not None:
        return _no(measured.similarity, measured.objection[0], Kind.LIST, measured.objection[1])
    if measured.similarity == 1.0:
        return _yes("list", Kind.LIST, "the same items")
    return Measured(
        verdict=None,
        similarity=measured.similarity,
        method=settings.method.value,
        kind=Kind.LIST,
        why=measured.why,
    )


def _rest(text: str) -> list[str]:
    """The words beside the figures that are more than a lead-in or a variable's name."""
    found = words(without_figures(without_lead_in(text)))
    return [word for word in found if len(word) > 1 and word not in _FILLERS]


def _number(left: str, right: str, settings: Settings) -> Measured | None:
    """Texts of which at least one is nothing but numbers: they decide, all of them."""
    found = figures(left), figures(right)
    if not all(found):
        return None
    rests = len(_rest(left)), len(_rest(right))
    if min(rests) > 0 or max(rests) > _NUMBER_WORDS:
        return None
    if any(unmatched(*found, settings.number_tolerance)):
        why = guards.numbers(left, right, settings.number_tolerance) or "the numbers differ"
        return _no(0.0, "numbers", Kind.NUMBER, why)
    if not any(rests) and not settings.number_tolerance and not same_order(*found):
        return _no(0.0, "numbers", Kind.NUMBER, "the same numbers in another order")
    return _yes("numbers", Kind.NUMBER, "the same numbers")


def _contained(left: str, right: str) -> bool:
    """Whether one text is the bare answer that the other gives in a sentence: "... is Canberra".

    A lone yes or no is contained in a sentence that opens with it.
    """
    short, long = sorted((canonical(left), canonical(right)), key=lambda text: (len(text), text))
    if not short or len(words(short)) > _ANSWER_WORDS or len(words(long)) > _SENTENCE_WORDS:
        return False
    if short in {"yes", "no"}:
        return long.startswith((f"{short},", f"{short}.", f"{short}:"))
    return long.endswith((f" is {short}", f" are {short}", f": {short}", f" = {short}"))


def _text(left: str, right: str, settings: Settings, embed: Embed | None) -> Measured:
    """Two plain texts that are nothing more particular."""
    longest = max(len(words(left)), len(words(right)))
    kind = Kind.SHORT if longest <= _SHORT_WORDS else Kind.PROSE
    objection = guards.veto(left, right, settings.number_tolerance)
    found = _same(left, right, kind, contained=objection is None)
    if found is None and (objection is None or objection[0] in _ABOUT_NUMBERS):
        found = _number(left, right, settings)
    if found is not None:
        return found
    if settings.method is Method.NORMALISED:
        return _no(0.0, "normalised", kind, "the texts differ")
    similarity = likeness(without_lead_in(left), without_lead_in(right), settings.method, embed)
    if objection is not None:
        return _no(similarity, objection[0], kind, objection[1])
    return Measured(
        verdict=None, similarity=similarity, method=settings.method.value, kind=kind, why="likeness"
    )


def _same(left: str, right: str, kind: Kind, *, contained: bool) -> Measured | None:
    """Equality but for form; `contained` where nothing speaks against one being in the other."""
    if canonical(left) == canonical(right):
        return _yes("normalised", kind, "the same but for case, spaces, marks and lead-in")
    if len(left.split()) == 1 and left.casefold() == right.casefold():
        return _no(0.0, "normalised", kind, "the case of an identifier differs")
    if contained and _contained(left, right):
        return _yes("contained", kind, "one is the other's answer without its sentence")
    return None
