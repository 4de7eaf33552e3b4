"""The agent that computes: what it finds in a task, what it refuses, what a program can't do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openclaw_jobs.demo.agents.python_eval import Limits, RunError, evaluate
from openclaw_jobs.demo.agents.python_rules import RefusedError, check, extract

AGENT = [sys.executable, "-m", "openclaw_jobs.demo.agents.python_eval"]
QUICK = Limits(cpu_seconds=1, wall_seconds=10.0)


def run(task: str, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k != "OPENCLAW_TASK_FILE"}
    return subprocess.run(
        [*AGENT, *options],
        input=task,
        capture_output=True,
        env=kept | more,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("task", "source"),
    [
        ("2 + 3", "2 + 3"),
        ("What is 2**64 - 1?", "2**64 - 1"),
        ("Please compute math.sqrt(2) + 1.", "math.sqrt(2) + 1"),
        ("Tell me `len('a b'.split())`, and quickly.", "len('a b'.split())"),
        ("Do:\n```python\nx = 4\nx * x\n```\nThanks!", "x = 4\nx * x\n"),
        ("Do:\n```\n1 + 1\n```", "1 + 1\n"),
        ("x = 2\nprint(x)", "x = 2\nprint(x)"),
    ],
)
def test_it_finds_the_python(task: str, source: str) -> None:
    assert extract(task) == source


@pytest.mark.parametrize("task", ["", "Hello", "What a day!", "Write me a poem.", "42 is nice"])
def test_no_python_is_refused(task: str) -> None:
    with pytest.raises(RefusedError, match="found no Python"):
        extract(task)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("1 + 1", "2"),
        ("'ab'.upper()", "AB"),
        ("['ab', 1.5]", "['ab', 1.5]"),
        ("print('a', 1, sep='-', end='!')", "a-1!"),
        (
            "def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\nprint(f(15))\nf(10)",
            "610\n55",
        ),
        ("{n: math.factorial(n) for n in range(4)}", "{0: 1, 1: 1, 2: 2, 3: 6}"),
        ("total = 0\nfor n in range(5):\n    total += n\ntotal", "10"),
        ("f'{math.pi:.3f} ü'", "3.142 ü"),
        ("sorted(['b', 'A'], key=lambda s: s.casefold())", "['A', 'b']"),
    ],
)
def test_it_computes(source: str, result: str) -> None:
    check(source)
    assert evaluate(source) == result


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "from math import sin",
        "__import__('os').system('id')",
        "eval('1')",
        "exec('1')",
        "open('/etc/passwd').read()",
        "getattr(1, 'real')",
        "type(1)",
        "globals()",
        "vars()",
        "input()",
        "().__class__.__bases__[0].__subclasses__()",
        "math.__loader__",
        "print.__self__",
        "(lambda: 0).__globals__",
        "(x for x in []).gi_frame",
        "'{0.__class__}'.format(1)",
        "'{0.__class__}'.format_map({})",
        "str.format('{0.__class__}', 1)",
        "f'{().__class__}'",
        "__builtins__",
        "__x = 1",
        "def __f(): pass",
        "lambda __x: 1",
        "dict(__class__=1)",
        "class C: pass",
        "try:\n    1\nexcept MemoryError:\n    2",
        "with 1 as x: pass",
        "match 1:\n    case int(real=x): pass",
        "@print\ndef f(): pass",
        "async def f(): pass",
        "(lambda: 1)()",
        "[print][0](1)",
        "math.sqrt = print",
        "del print",
        "global x",
        "raise ValueError",
        "1 +",
        "x\0",
        "(" * 3000,
        "-" * 19_000 + "1",
        "1;" * 10_001,
    ],
)
def test_what_does_not_only_compute_is_refused(source: str) -> None:
    with pytest.raises(RefusedError):
        check(source)


HOSTILE = [
    ("while True: pass", "processor time"),
    ("10**10**10", "processor time|memory"),
    ("[0] * 10**10", "memory"),
    ("'x' * 10**10", "memory"),
    ("x = []\nwhile True: x.append('x' * 10**6)", "memory"),
    ("f'{1:>10000000000}'", "memory|ValueError"),
    ("print('x' * 10**7)", "printed more than 65536 characters"),
    ("while True: print('x' * 100)", "printed more than 65536 characters"),
    ("sum(0 for _ in iter(int, 1))", "processor time"),
    ("def f(n): return f(n + 1)\nf(0)", "RecursionError: .*line 1"),
    ("x = []\nfor _ in range(10**5): x = [x]\nprint(x)", "RecursionError"),
    ("2**100000", "ValueError: .*4300 digits"),
    ("x = 1\n\nx / 0", r"ZeroDivisionError: division by zero \(line 3\)"),
    ("x = 1", "printed nothing"),
]


@pytest.mark.parametrize(("source", "reason"), HOSTILE, ids=[source[:30] for source, _ in HOSTILE])
def test_what_a_program_cannot_do(source: str, reason: str) -> None:
    check(source)
    with pytest.raises(RunError, match=reason):
        evaluate(source, QUICK)


def test_the_sandbox_holds_what_the_check_would_let_through() -> None:
    """As if the list of what is allowed had a hole: the process itself has nothing to give."""
    for source in ("open('/etc/passwd')", "__import__('os')", "eval('1')", "getattr(1, 'real')"):
        with pytest.raises(RunError, match=r"NameError|ImportError"):
            evaluate(source, QUICK)
    classes = "().__class__.__base__.__subclasses__()"
    files = f"[c for b in {classes} if b.__name__ == '_IOBase' for c in b.__subclasses__()]"
    opener = f"[f for c in {files} for f in c.__subclasses__() if f.__name__ == 'FileIO'][0]"
    with pytest.raises(RunError, match=r"OSError: \[Errno 24\]"):
        evaluate(f"{opener}('/etc/passwd')", QUICK)
    loader = f"[c for c in {classes} if c.__name__ == 'BuiltinImporter'][0]"
    environ = f"{loader}.load_module('posix').environ"
    # Python itself sets LC_CTYPE where it finds no locale.
    assert evaluate(f"sorted(set({environ}) - {{b'LC_CTYPE'}})", QUICK) == "[]"


def test_time_on_the_clock_is_bounded_too() -> None:
    started = time.monotonic()
    with pytest.raises(RunError, match=r"took longer than 0\.2 s"):
        evaluate("while True: pass", Limits(wall_seconds=0.2))
    assert time.monotonic() - started < 4


def test_alone_on_the_command_line() -> None:
    done = run("What is 2**64 - 1?")
    assert (done.returncode, done.stdout) == (0, "18446744073709551615\n")
    assert done.stderr == "progress: running 1 line of Python\n"


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("`__import__('os')`", "not allowed here: the name __import__ (line 1)"),
        ("`1 / 0`", "ZeroDivisionError: division by zero (line 1)"),
        ("`while True: pass`", "used more than 1 s of processor time"),
        ("```\nimport os\n```", "not allowed here: imports (math is there already) (line 1)"),
    ],
)
def test_a_failure_is_an_exit_code_and_a_reason(task: str, reason: str) -> None:
    done = run(task, "--cpu-seconds", "1")
    assert done.returncode == 1
    assert not done.stdout
    assert done.stderr.splitlines()[-1] == reason


def test_a_stopped_agent_leaves_nothing_behind(tmp_path: Path) -> None:
    agent = subprocess.Popen(
        AGENT,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, TMPDIR=str(tmp_path)),
    )
    assert agent.stdin is not None
    assert agent.stderr is not None
    with agent.stdin, agent.stderr:
        agent.stdin.write("while True: pass")
        agent.stdin.close()
        assert agent.stderr.readline() == "progress: running 1 line of Python\n"
        deadline = time.monotonic() + 10
        while not list(tmp_path.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(timeout=10) == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())
