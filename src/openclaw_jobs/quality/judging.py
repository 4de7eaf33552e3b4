"""What comparing results comes to: pure, and bounded in time as `compare` is.

Two results that are both empty, or both refuse, agree on nothing: that is no word on their worth.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from openclaw_jobs.quality import rules
from openclaw_jobs.quality.checks import Finding, Texts
from openclaw_jobs.quality.models import Comparison, Kind
from openclaw_jobs.quality.record import Decision, Verdict

Compare: TypeAlias = Callable[[str, str], Comparison]
"""How the results of this category are compared."""

_NO_ANSWER: Final = frozenset({Kind.EMPTY, Kind.REFUSAL})


def judge(texts: Texts, compare: Compare) -> Finding | None:
    """Compare what there is; None if a text is gone, and nothing can be said any more."""
    if texts.second is None:
        return None
    if texts.kind == "gold":
        return None if texts.answers is None else _against_answers(texts, compare)
    if texts.first is None:
        return None
    if texts.stage == "comparing":
        return _two(texts.first, texts.second, compare)
    if texts.third is None:
        return None
    return _three(texts.first, texts.second, texts.third, compare)


def _answers(found: Comparison) -> bool:
    """Whether the two agree on something that is an answer."""
    return found.agree and found.kind not in _NO_ANSWER


def _against_answers(texts: Texts, compare: Compare) -> Finding | None:
    """A gold task's result against each accepted answer, the best of them as evidence."""
    result = texts.second or ""
    best: Comparison | None = None
    for answer in texts.answers or ():
        found = compare(result, answer)
        # An accepted answer may be a refusal: then to refuse is right.
        if found.agree:
            best = found
            break
        if best is None or found.similarity > best.similarity:
            best = found
    if best is None:
        return None
    verdict = Verdict.GOOD if best.agree else Verdict.BAD
    reason = "an accepted answer" if best.agree else "no accepted answer"
    return _finding(best, {"answer": best}, None, verdict, reason)


def _two(first: str, second: str, compare: Compare) -> Finding:
    found = compare(first, second)
    if _answers(found):
        return _finding(found, {"copy": found}, Verdict.GOOD, Verdict.GOOD, "they agree")
    reason = "neither answers" if found.agree else "they differ"
    finding = _finding(found, {"copy": found}, None, None, reason)
    return msgspec.structs.replace(finding, asks_third=True)


def _three(first: str, second: str, third: str, compare: Compare) -> Finding:
    """Two of three; who agrees that there is no answer is not said to be right."""
    pair, one, other = compare(first, second), compare(third, first), compare(third, second)
    evidence = {"copy": pair, "third_first": one, "third_second": other}
    if _no_answer(pair) and _no_answer(one):
        return _finding(pair, evidence, None, None, "nobody answers")
    decision = rules.arbitrate(first_agrees=_answers(one), second_agrees=_answers(other))
    if pair.agree and pair.kind is Kind.EMPTY and not is_without_answer(third, compare):
        decision = Decision(Verdict.BAD, Verdict.BAD)
        return _finding(pair, evidence, *_both(decision), "both are empty, a third answers")
    reasons = {
        (Verdict.GOOD, Verdict.GOOD): "the third agrees with both",
        (Verdict.GOOD, Verdict.BAD): "the third agrees with the first",
        (Verdict.BAD, Verdict.GOOD): "the third agrees with the second",
        (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE): "the third agrees with neither",
    }
    return _finding(pair, evidence, *_both(decision), reasons[decision.first, decision.second])


def _both(decision: Decision) -> tuple[Verdict, Verdict]:
    return decision.first, decision.second


def _no_answer(found: Comparison) -> bool:
    return found.agree and found.kind in _NO_ANSWER


def is_without_answer(text: str, compare: Compare) -> bool:
    """Whether a text is empty or refuses, as the engine sees it."""
    return compare(text, text).kind in _NO_ANSWER


def _finding(
    found: Comparison,
    evidence: dict[str, Comparison],
    first: Verdict | None,
    second: Verdict | None,
    reason: str,
) -> Finding:
    return Finding(
        agree=found.agree,
        similarity=found.similarity,
        method=found.method,
        engine=found.version,
        why=found.why,
        evidence={name: msgspec.to_builtins(one) for name, one in evidence.items()},
        first=first,
        second=second,
        reason=reason,
    )
