"""Each rule of the comparison, both ways; properties; hostile texts."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_jobs.quality import Comparison, Kind, Method, Settings, compare
from openclaw_jobs.quality.compare import MAX_CHARS, kind_of
from openclaw_jobs.quality.models import VERSION

FIB = "def fib(n):\n    a = 0\n    for i in range(n):\n        a = a + i\n    return a\n"

AGREE = [
    ("same", "same", "exact"),
    ("", " \n\u200b", "empty"),
    ("I'm sorry, but I can't help with that.", "I am unable to do this.", "refusal"),
    ("Hello,  World!", "hello, world", "normalised"),
    ("The answer is **Paris**.", "Paris", "normalised"),
    ("caf\u00e9 noir", "cafe\u0301 noir", "normalised"),
    ("\u201cyes\u201d", '"Yes."', "normalised"),
    ("Canberra", "The capital of Australia is Canberra.", "contained"),
    ("Yes.", "Yes, the contract allows it.", "contained"),
    ('{"a": 1, "b": [2]}', '```json\n{"b":[2.0],"a":1.0}\n```', "json"),
    ("[]", "[ ]", "json"),
    (FIB, FIB.replace("a = 0", "total = 0  # start").replace("a = a + i", "total = total + i")
     .replace("return a", "return total"), "code"),
    (FIB, f"Here you go:\n\n```python\n{FIB}```\nIt adds up.", "code"),
    ("SELECT a FROM t WHERE x = 1;", "select a\nfrom t\nwhere x = 1", "code"),
    ("- a cat\n- a dog", "* A dog.\n* A cat", "list"),
    ("1. wash\n2. rinse", "1) Wash\n2) Rinse", "list"),
    ("42", "42.0", "numbers"),
    ("1,299.00 USD", "$1299", "numbers"),
    ("seven", "7", "numbers"),
    ("The cat sat on the old mat.", "On the old mat sat the cat.", "token_sort"),
]  # fmt: skip

DISAGREE = [
    ("", "something", "empty"),
    ("\n", "0", "empty"),
    ("I cannot help with that.", "The capital is Oslo.", "refusal"),
    ("{}", "[]", "json"),
    ('{"a": 1}', '{"a": "1"}', "json"),
    ('{"a": 1}', '{"a": true}', "json"),
    ('{"a": null}', "{}", "json"),
    ("[1, 2]", "[2, 1]", "json"),
    ('{"a": 1}', '{"a": 1', "json"),
    (FIB, FIB.replace("a = 0", "a = 1"), "code"),
    (FIB, FIB.replace("range", "reversed"), "code"),
    (FIB, FIB.replace("    return a", "        return a"), "code"),
    ("- a cat\n- a dog", "- a cat\n- a dog\n- a cow", "list"),
    ("1. wash\n2. rinse", "1. rinse\n2. wash", "list_order"),
    ("42", "43", "numbers"),
    ("3, 2, 1", "1, 2, 3", "numbers"),
    ("12.5%", "12.5", "numbers"),
    ("It opened in 1987 in Oslo.", "It opened in 1978 in Oslo.", "numbers_guard"),
    ("The test is done.", "The test is not done.", "negation_guard"),
    ("The shop is open.", "The shop is closed.", "negation_guard"),
    ("Yes, you may go.", "No, you may go.", "negation_guard"),
    ("The treaty was signed in Vienna then.", "The treaty was signed in Paris then.",
     "names_guard"),
    ("We saw that Anna paid Boris for it.", "We saw that Boris paid Anna for it.", "order_guard"),
    ("A red fox jumped over the wall.", "Photosynthesis makes sugar.", "token_sort"),
    ("aGVsbG8gd29ybGQ1", "AgvSBG8GD29YBGQ1", "normalised"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "method"), AGREE)
def test_what_agrees(one: str, other: str, method: str) -> None:
    found = compare(one, other)
    assert (found.agree, found.method) == (True, method), found
    assert compare(other, one) == found


@pytest.mark.parametrize(("one", "other", "method"), DISAGREE)
def test_what_disagrees(one: str, other: str, method: str) -> None:
    found = compare(one, other)
    assert found.agree is False, found
    assert found.method == method, found
    assert compare(other, one) == found
    assert compare(one, one).agree
    assert compare(other, other).agree


def test_a_verdict_says_why() -> None:
    found = compare("It costs 40 euros.", "It costs 14 euros.")
    assert found == Comparison(
        agree=False,
        similarity=found.similarity,
        method="numbers_guard",
        kind=Kind.SHORT,
        threshold=None,
        version=VERSION,
        why="14 eur in one, 40 eur in the other",
    )
    assert found.similarity > 0.8  # the evidence stays


@pytest.mark.parametrize("method", [Method.JACCARD, Method.TOKEN_SORT])
def test_the_operator_chooses_method_and_threshold(method: Method) -> None:
    one, other = "The big dog ran over the hill.", "The big dog walked over the hill."
    low = compare(one, other, settings=Settings(method=method, threshold=0.1))
    high = compare(one, other, settings=Settings(method=method, threshold=1.0))
    assert (low.agree, low.method, low.threshold) == (True, method.value, 0.1)
    assert (high.agree, high.method, high.threshold) == (False, method.value, 1.0)
    assert low.similarity == high.similarity


def test_methods_without_likeness() -> None:
    exact, normalised = Settings(method=Method.EXACT), Settings(method=Method.NORMALISED)
    assert not compare("Paris", "paris", settings=exact).agree
    assert compare("Paris", "paris", settings=normalised).agree
    assert not compare("The cat sat there.", "There the cat sat.", settings=normalised).agree
    assert compare("- a\n- b", "- b\n- a", settings=normalised).agree
    assert not compare("- ab\n- b", "- b\n- ac", settings=normalised).agree


def test_a_tolerance_for_numbers() -> None:
    near = Settings(number_tolerance=0.01)
    assert not compare("3.14159", "3.1416").agree
    assert compare("3.14159", "3.1416", settings=near).agree
    assert not compare("3.14159", "3.2", settings=near).agree


def test_a_kind_may_be_given() -> None:
    assert kind_of("x1 y2") is not Kind.CODE
    assert compare("a  + b", "a + b", settings=Settings(kind=Kind.CODE)).method == "code"
    assert compare("[1, 2]", "[2, 1]", settings=Settings(kind=Kind.PROSE)).method != "json"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", Kind.EMPTY),
        ("I'm sorry, I cannot do that.", Kind.REFUSAL),
        ("I'm sorry to hear of your loss.", Kind.SHORT),
        ('{"a": 1}', Kind.JSON),
        (FIB, Kind.CODE),
        ("- a\n- b", Kind.LIST),
        ("42 km", Kind.NUMBER),
        ("Oslo", Kind.SHORT),
        ("It was a dark and stormy night, and nobody was out in the fields.", Kind.PROSE),
    ],
)
def test_kinds(text: str, kind: Kind) -> None:
    assert kind_of(text) is kind
    assert compare(text, text).kind is kind


PIECES = st.sampled_from(
    [
        "cat", "dog", "not", "no", "never", "1", "2,5", "3%", "$4", "(", "{", "[", "]", "}", '"',
        "'", "`", "```", "/*", "*/", "//", "#", "--", "-", "*", "1.", "|", "**", "__", "is", "are",
        ":", ";", ".", "Anna", "Paris", "\u200b", "\u00bd", "\ufdfa", "猫", "yes", "true",
        "false", "sorry", "def", "return", "=", "==", "10:30", "2024-01-02", "\n", "\n- ",
        "\n1. ",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=25).map(" ".join))


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS, st.sampled_from([Method.TOKEN_SORT, Method.JACCARD, Method.NORMALISED]))
def test_symmetric_reflexive_and_total(one: str, other: str, method: Method) -> None:
    chosen = Settings(method=method)
    found = compare(one, other, settings=chosen)
    assert compare(other, one, settings=chosen) == found
    assert 0 <= found.similarity <= 1
    assert found.why
    same = compare(one, one, settings=chosen)
    assert same.agree
    assert same.similarity == 1
    if (not one.strip()) != (not other.strip()) and found.agree:
        assert found.method == "empty"  # a text of invisible characters


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(2, 10**9), st.integers(1, 10**9))
def test_a_changed_number_never_passes(text: str, number: int, more: int) -> None:
    found = compare(
        f"{text}\nSo there are {number} of them.", f"{text}\nSo there are {number + more} of them."
    )
    assert not found.agree or found.method == "refusal"


def test_a_sentence_below_a_list_counts() -> None:
    found = compare("- a\n- b\nSo there are 2 of them.", "- a\n- b\nSo there are 3 of them.")
    assert not found.agree
    assert compare("Here they are:\n- a\n- b", "As asked:\n- a\n- b").agree


HOSTILE = {
    "letters": "a", "quotes": '"', "escapes": '\\"', "comments": "/*", "ticks": "`",
    "fences": "```\n", "braces": "{", "brackets": "[", "digits": "1", "commas": "1,",
    "dots": "1.", "groups": "123 ", "spaces": " ", "lines": "\n", "stars": "*",
    "bullets": "- a\n", "steps": "1. a\n", "rows": "|a|\n", "nots": "not ", "names": "Anna ",
    "ligatures": "\ufdfa", "han": "猫", "ifs": "if :", "words": "two ", "dates": "jan 1 ",
    "percent": "5% ", "ones": "1/1 ", "triple": '"""', "defs": "def f(a):\n a=1\n",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("size", [65_000, 262_144])
def test_hostile_texts_are_bounded(name: str, size: int) -> None:
    seed = HOSTILE[name]
    text = seed * (size // len(seed.encode()))
    started = time.process_time()
    found = compare(text, "x " + text[:-3])
    assert time.process_time() - started < 5
    assert found.why


def test_long_texts_agree_only_when_equal_but_for_form() -> None:
    text = "It was a dark night. " * (MAX_CHARS // 20 + 1)
    assert compare(text, text.upper()).method == "normalised"
    assert compare(text, text.upper()).agree
    found = compare(text, text + "Indeed.")
    assert (found.agree, found.method) == (False, "too_long")


def test_json_too_deep_to_read_is_text() -> None:
    deep = "[" * 20_000 + "]" * 20_000
    assert not compare(deep, deep + " x").agree
    assert compare(deep, deep + "\n").agree
