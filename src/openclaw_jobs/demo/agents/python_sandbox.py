"""The child process in which `python_eval` runs a program: limits first, then the program.

Started as a script with `-I -S`, so that neither the package nor anything that is installed can be
imported. Standard input is the source; standard output is what it printed and the value of its
last line, or, with exit code 1, what went wrong. `python_eval` has checked the source before; what
is here would have to be enough as well.
"""

import ast
import builtins
import math
import resource
import sys
from types import SimpleNamespace
from typing import Any, Final

BUILTINS: Final = frozenset(
    {
        *("abs", "all", "any", "bin", "bool", "chr", "complex", "dict", "divmod", "enumerate"),
        *("filter", "float", "frozenset", "hex", "int", "isinstance", "iter", "len", "list", "map"),
        *("max", "min", "next", "oct", "ord", "pow", "print", "range", "repr", "reversed"),
        *("round", "set", "slice", "sorted", "str", "sum", "tuple", "zip"),
    }
)
"""The functions that a program may call by name; `print` is one of ours."""

MATH: Final = frozenset(name for name in dir(math) if not name.startswith("_"))
"""What a program finds in `math`, the one module that is there."""

FAILED: Final = 1
_FILE: Final = "<task>"


class OutputError(Exception):
    """A program has more to say than it may."""


class Output:
    """What a program printed, up to a limit in characters."""

    def __init__(self, limit: int) -> None:
        self._limit: Final = limit
        self._parts: list[str] = []
        self._length = 0

    def write(self, text: str) -> None:
        """Keep a text.

        Raises:
            OutputError: It is too much.
        """
        self._length += len(text)
        if self._length > self._limit:
            raise OutputError(f"printed more than {self._limit} characters")
        self._parts.append(text)

    def print(self, *values: object, sep: str = " ", end: str = "\n") -> None:
        """Print, for the program."""
        self.write(sep.join(map(str, values)) + end)

    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)


def confine(cpu_seconds: int, memory_bytes: int) -> None:
    """Give up, for good, what a program has no need of.

    macOS has no limit on memory that a process could set; there time alone bounds it.
    """
    for kind, amount in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        _lower(kind, amount)
    if sys.platform != "darwin":
        _lower(resource.RLIMIT_AS, memory_bytes)


def _lower(kind: int, amount: int) -> None:
    _, most = resource.getrlimit(kind)
    lowered = amount if most == resource.RLIM_INFINITY else min(amount, most)
    resource.setrlimit(kind, (lowered, lowered))


def run(source: str, output: Output) -> None:
    """Run a program; its last line, if it is an expression, has its value printed."""
    names = {name: getattr(builtins, name) for name in BUILTINS} | {"print": output.print}
    space: dict[str, Any] = {
        "__builtins__": names,
        "math": SimpleNamespace(**{name: getattr(math, name) for name in MATH}),
    }
    body = ast.parse(source, _FILE).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), _FILE, "exec"), space)  # noqa: S102 - what this process is for  # nosec B102
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), _FILE, "eval"), space)  # noqa: S307 - see above  # nosec B307
        if value is not None:
            output.print(value if isinstance(value, str) else repr(value))


def explain(error: BaseException) -> str:
    """What went wrong and in which line of the program, in one line."""
    if isinstance(error, OutputError):
        return str(error)
    if isinstance(error, MemoryError):
        return "needed more memory than there is for a task"
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f" (line {line})" if line is not None else ""
    return f"{type(error).__name__}: {error}{where}"


def main() -> int:
    """Run the program on standard input within the limits of the command line; the exit code."""
    cpu_seconds, memory_bytes, output_chars = map(int, sys.argv[1:4])
    source = sys.stdin.buffer.read().decode()
    confine(cpu_seconds, memory_bytes)
    output = Output(output_chars)
    try:
        run(source, output)
    except BaseException as error:  # noqa: BLE001 - whatever a stranger's program may raise
        code, text = FAILED, explain(error)
    else:
        code, text = 0, output.text()
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
