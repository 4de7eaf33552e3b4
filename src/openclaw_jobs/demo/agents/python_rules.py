"""What of a task is Python, and whether it may run: pure functions, nothing is executed here."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from openclaw_jobs.demo.agents.python_sandbox import BUILTINS, MATH

__all__ = ["RefusedError", "check", "extract"]

MAX_SOURCE_CHARS: Final = 20_000
MAX_SEARCHED_WORDS: Final = 60

# Not format and format_map of str, which look up attributes by themselves.
_OF_TEXT: Final = """
    capitalize casefold center count endswith find index isalnum isalpha isdigit islower isspace
    isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind rjust
    rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill
"""
_OF_NUMBERS: Final = "as_integer_ratio bit_count bit_length conjugate imag is_integer real"
_OF_CONTAINERS: Final = """
    add append clear copy difference discard extend get insert intersection isdisjoint issubset
    issuperset items keys pop popitem remove reverse setdefault sort symmetric_difference union
    update values
"""
METHODS: Final = frozenset(f"{_OF_TEXT} {_OF_NUMBERS} {_OF_CONTAINERS}".split())
"""The attributes of objects that a program may use."""

_ALLOWED: Final = (
    *(ast.Module, ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Assert, ast.Pass),
    *(ast.For, ast.While, ast.If, ast.Break, ast.Continue, ast.FunctionDef, ast.Return),
    *(ast.arguments, ast.arg, ast.Lambda, ast.Call, ast.keyword, ast.Starred, ast.NamedExpr),
    *(ast.Name, ast.Attribute, ast.Constant, ast.JoinedStr, ast.FormattedValue),
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.Load, ast.Store),
    *(ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Subscript, ast.Slice),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension),
)
_FENCED: Final = re.compile(r"```[ \t]*(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_TICKED: Final = re.compile(r"`([^`\n]+)`")


class RefusedError(Exception):
    """This may not run, or is no Python; the message says why, for the buyer."""


def extract(task: str) -> str:
    """The Python in a task, checked: a block in ```, what is in backticks, all of it, or its end.

    Raises:
        RefusedError: There is none, or it may not run.
    """
    for pattern in (_FENCED, _TICKED):
        marked = pattern.search(task)
        if marked:
            check(marked[1])
            return marked[1]
    parsed = _parsed(task)
    if parsed is not None and not _is_prose(parsed):
        check(task)
        return task
    for candidate in _endings(task):
        if _computes(candidate):
            return candidate
    raise RefusedError("found no Python expression or program in this task")


def check(source: str) -> None:
    """Let a program pass that only computes: a list of what is allowed, and nothing else is.

    Raises:
        RefusedError: Something in it is not allowed, or it is no Python.
    """
    if len(source) > MAX_SOURCE_CHARS:
        raise RefusedError(f"a program may have up to {MAX_SOURCE_CHARS} characters")
    try:
        tree = ast.parse(source)
        nodes = list(ast.walk(tree))
    except SyntaxError as error:
        raise RefusedError(f"not valid Python: {error.msg} (line {error.lineno})") from error
    except (ValueError, MemoryError, RecursionError) as error:
        raise RefusedError(f"not valid Python: {str(error) or 'nested too deeply'}") from error
    bound = {name for node in nodes for name in _binds(node)}
    for node in nodes:
        fault = _fault(node, bound)
        if fault:
            line = getattr(node, "lineno", None)
            raise RefusedError(f"not allowed here: {fault}" + (f" (line {line})" if line else ""))


def _fault(node: ast.AST, bound: set[str]) -> str | None:
    """What is wrong with one node of a program, None if nothing is."""
    fault: str | None = None
    if isinstance(node, ast.Import | ast.ImportFrom):
        fault = "imports (math is there already)"
    elif not isinstance(node, _ALLOWED):
        fault = type(node).__name__
    elif any(name.startswith("__") for name in _binds(node)):
        fault = "names that begin with two underscores"
    elif isinstance(node, ast.Name) and node.id not in bound | BUILTINS | {"math"}:
        fault = f"the name {node.id}"
    elif isinstance(node, ast.Attribute):
        of_math = isinstance(node.value, ast.Name) and node.value.id == "math"
        readable = MATH if of_math else METHODS
        if node.attr not in readable or not isinstance(node.ctx, ast.Load):
            fault = f"the attribute {node.attr}"
    elif isinstance(node, ast.FunctionDef) and node.decorator_list:
        fault = "decorators"
    elif isinstance(node, ast.Call) and not isinstance(node.func, ast.Name | ast.Attribute):
        fault = "calling what has no name"
    return fault


def _binds(node: ast.AST) -> Iterator[str]:
    """The names that a node gives to something."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.arg | ast.keyword) and node.arg is not None:
        yield node.arg


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text.strip()) if len(text) <= MAX_SOURCE_CHARS else None
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _is_prose(tree: ast.Module) -> bool:
    """Whether this is words that happen to be Python, as `Hello` and `What is 2` are."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    calls = any(isinstance(node, ast.Call | ast.Assign | ast.Import) for node in ast.walk(tree))
    return not tree.body or (not calls and bool(names - BUILTINS - {"math"}))


def _endings(text: str) -> Iterator[str]:
    """The text without more and more of its first words, and without its closing mark."""
    words = text.strip().rstrip("?.!").split()
    for start in range(max(0, len(words) - MAX_SEARCHED_WORDS), len(words)):
        yield " ".join(words[start:])


def _computes(candidate: str) -> bool:
    """Whether this is an expression that may run and has something to compute."""
    tree = _parsed(candidate)
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr):
        return False
    if not any(isinstance(n, ast.BinOp | ast.Call | ast.Compare) for n in ast.walk(tree)):
        return False
    try:
        check(candidate)
    except RefusedError:
        return False
    return True
