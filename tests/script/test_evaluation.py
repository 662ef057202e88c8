"""One text, one function, within bounds; whatever a text does, it is a ScriptError or JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.errors import ScriptError
from coco_core.script import Bounds, Evaluator
from coco_core.script.evaluation import STEPS_BETWEEN_CHECKS

BOUNDS = Bounds(
    source_size_max_bytes=10_000,
    result_size_max_bytes=1_000,
    result_depth_max=8,
    steps_max=100_000,
    call_depth_max=20,
    message_size_max=200,
    cached_max=2,
)


@pytest.fixture
def evaluator() -> Evaluator:
    return Evaluator(BOUNDS)


def returned(evaluator: Evaluator, body: str, *args: Any, service: Any = None) -> Any:
    source = f"def f(*args):\n  {body}"
    return json.loads(evaluator.call(source, "f", args, {} if service is None else service))


def refused(evaluator: Evaluator, source: str, *args: Any) -> ScriptError:
    with pytest.raises(ScriptError) as caught:
        evaluator.call(source, "f", args, {})
    return caught.value


def test_arguments_go_in_and_json_comes_out(evaluator: Evaluator) -> None:
    given_args = [{"a": [1, -2.5, None, True, "é"]}, 1 << 63]
    assert returned(evaluator, "return args", *given_args) == given_args
    assert returned(evaluator, "return (1, [2], {'three': (4,)})") == [1, [2], {"three": [4]}]
    assert returned(evaluator, "pass") is None


def test_the_service_is_seen_and_cannot_be_changed(evaluator: Evaluator) -> None:
    service = {"nodes": {"n": {"status": "Trusted"}}}
    assert returned(evaluator, "return service['nodes']['n']", service=service) == {"status": "Trusted"}
    with pytest.raises(ScriptError, match="Immutable"):
        returned(evaluator, "service['nodes']['n'] = 1", service=service)


def test_nothing_is_remembered_between_calls(evaluator: Evaluator) -> None:
    source = "seen = []\ndef f(x):\n  return [seen, x, service]"
    assert json.loads(evaluator.call(source, "f", [1], {"at": 1})) == [[], 1, {"at": 1}]
    assert json.loads(evaluator.call(source, "f", [2], {"at": 2})) == [[], 2, {"at": 2}]
    assert refused(evaluator, "seen = []\ndef f():\n  seen.append(1)").code == "script-error"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("def f(:", "syntax"),
        ("load('other', 'g')\ndef f(): return g", "syntax"),
        ("for i in [1]:\n  pass", "syntax"),
        ("# " + "x" * 10_000, "syntax"),
        ("def g(): return 1", "missing-function"),
        ("f = 1", "script-error"),
        ("def f(): return nothing", "script-error"),
        ("def f(needed): return 1", "script-error"),
        ("def f(): fail('no')", "script-error"),
        ("x = service['nothing']\ndef f(): return x", "script-error"),
        ("def f(): return print(1)", "script-error"),
        ("def f(): return f()", "script-error"),
        ("def f():\n  for i in range(1 << 30): pass", "step-limit"),
        ("x = [i for i in range(1 << 30)]\ndef f(): return 1", "step-limit"),
        ("def f(): return f", "result"),
        ("def f(): return {1: 2}", "result"),
        ("def f(): return 1 << 64", "result"),
        ("def f(): return 'x' * 1000", "result"),
        ("def f(): return ['é'] * 300", "result"),
        ("def f(): return [0] * 1001", "result"),
        ("def f(): return [[[[[[[[[]]]]]]]]]", "result"),
        ("def f():\n  l = []\n  l.append(l)\n  return l", "result"),
    ],
)
def test_what_is_refused_and_why(source: str, code: str, evaluator: Evaluator) -> None:
    assert refused(evaluator, source).code == code


def test_a_panic_of_the_evaluator_is_an_error_of_the_text(
    evaluator: Evaluator, capfd: pytest.CaptureFixture[str]
) -> None:
    assert refused(evaluator, "def f(): return len(list(range(1 << 30)))").code == "memory-limit"
    assert "panicked" in capfd.readouterr().err
    assert returned(evaluator, "return 1") == 1


def test_messages_say_where_and_are_cut(evaluator: Evaluator) -> None:
    assert "text:2" in str(refused(evaluator, "\nx = missing"))
    assert len(str(refused(evaluator, "def f(): fail('x' * 5000)"))) == BOUNDS.message_size_max


def test_arguments_nested_too_deeply_are_an_error(evaluator: Evaluator) -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert refused(evaluator, "def f(x): return 1", nested).code == "script-error"


def test_steps_are_counted_from_the_first_line_and_the_same_in_every_call() -> None:
    # What fits once fits again, cached or not, and one more round of it never does.
    source = "x = [i for i in range({})]\ndef f(n):\n  for i in range(n): pass\n  return n"

    def fits(evaluator: Evaluator, before: int, rounds: int) -> bool:
        try:
            return evaluator.call(source.format(before), "f", [rounds], {}) != b""
        except ScriptError as error:
            assert error.code == "step-limit"  # noqa: PT017 - either may happen
            return False

    small = BOUNDS._replace(steps_max=10 * STEPS_BETWEEN_CHECKS)
    evaluator = Evaluator(small)
    most = max(rounds for rounds in range(0, 20_000, 50) if fits(Evaluator(small), 0, rounds))
    assert 0 < most < 19_950
    assert all(fits(evaluator, 0, most) for _ in range(3))
    assert not fits(evaluator, 0, most + 50)
    assert not fits(evaluator, 4_000, most)


def test_a_check_names_the_function_that_is_missing(evaluator: Evaluator) -> None:
    source = "def a(): return 1\nb = 2\nc = lambda: 3"
    evaluator.check(source, ["a", "c"])
    for name in ("b", "d"):
        with pytest.raises(ScriptError, match=f"function {name}") as caught:
            evaluator.check(source, ["a", name])
        assert caught.value.code == "missing-function"
    with pytest.raises(ScriptError) as caught:
        evaluator.check("x = 1 // 0", ["a"])
    assert caught.value.code == "script-error"


def test_only_the_newest_texts_are_kept(evaluator: Evaluator) -> None:
    sources = [f"def f(): return {number}" for number in range(4)]
    for source in [*sources, sources[2]]:
        evaluator.call(source, "f", [], {})
    assert list(evaluator._parsed) == [sources[3], sources[2]]


@given(st.text(max_size=200))
def test_any_text_is_refused_or_answers(source: str) -> None:
    try:
        Evaluator(BOUNDS).call(source, "f", [], {})
    except ScriptError as error:
        assert error.code in {"syntax", "missing-function", "script-error", "result"}  # noqa: PT017
