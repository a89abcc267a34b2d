"""The calculator: arithmetic of a model, by an evaluator that knows numbers, operators and a few functions."""

import ast
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.chatflows.run import Run
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed, ToolStep
from service.chatflows.steps.tool_http import object_schema

MAX_EXPRESSION = 1000
"""Characters of an expression."""

MAX_DIGITS = 2000
"""Of a result; factorials and powers beyond are refused before they are worked out."""

_LARGEST = 10**MAX_DIGITS
_PARTS = (
    ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant, ast.Load, ast.operator, ast.unaryop,
)  # fmt: skip
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")


class Calculator(ToolStep):
    """Works out sums for a model."""

    label = "Calculator"
    base_classes = ("Calculator", "Tool", "StructuredTool", "BaseLangChain")

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The one tool."""
        schema = object_schema(
            {"input": {"type": "string", "description": "The expression, such as 3 * (2 + 1.5) or sqrt(2) ^ 3"}},
            ["input"],
        )
        about = "Works out an arithmetic expression. Use it for every calculation."
        return [Tool("calculator", about, schema, _call)]


async def _call(run: Run, given: Mapping[str, Any]) -> Outcome:
    return Outcome(calculate(str(given.get("input") or given.get("expression") or "")))


def calculate(expression: str) -> str:
    """The value of an arithmetic expression, as text. `^` is a power, `%` a remainder, as people write them.

    Raises `ToolFailed` for what is no such expression, has no value, or would be too large.
    """
    from simpleeval import InvalidExpression, SimpleEval  # type: ignore[import-untyped]  # ships no types

    text = expression.strip().strip("=").replace("×", "*").replace("÷", "/").replace("−", "-")
    if "(" not in text:  # where no function has arguments, commas stand between thousands
        text = _THOUSANDS.sub("", text)
    if not text or len(text) > MAX_EXPRESSION:
        raise ToolFailed(f"Give an arithmetic expression of 1 to {MAX_EXPRESSION} characters.")
    evaluator = SimpleEval(operators=_operators(), functions=_FUNCTIONS, names=_NAMES)
    try:
        tree = ast.parse(text.replace("^", "**"), mode="eval").body
        if not all(isinstance(part, _PARTS) for part in ast.walk(tree)):
            raise ToolFailed(
                "This is no arithmetic expression: numbers, + - * / % ^ and functions such as sqrt are known."
            )
        value = evaluator.eval("", previously_parsed=tree)
    except (
        InvalidExpression,
        SyntaxError,
        ValueError,
        TypeError,
        ArithmeticError,
        RecursionError,
        MemoryError,
    ) as error:
        why = "it divides by zero" if isinstance(error, ZeroDivisionError) else str(error)[:200]
        raise ToolFailed(f"This cannot be worked out: {why or 'it is no arithmetic expression'}") from None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (isinstance(value, float) and math.isnan(value))
    ):
        raise ToolFailed("This is no arithmetic expression with a number as its value.")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return str(value)


def _bounded(work: Callable[..., Any]) -> Callable[..., Any]:
    """An operator whose whole numbers stay within `MAX_DIGITS`."""

    def bounded(*numbers: Any) -> Any:
        if not all(isinstance(number, int | float) for number in numbers):
            raise TypeError("only numbers are calculated with")
        value = work(*numbers)
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise OverflowError("the number is too large")
        return value

    return bounded


def _power(base: float, exponent: float) -> Any:
    if not all(isinstance(number, int | float) for number in (base, exponent)):
        raise TypeError("only numbers are calculated with")
    whole = isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1 and exponent > 0
    if whole and math.log10(abs(base)) * exponent > MAX_DIGITS:
        raise OverflowError("the number is too large")
    value = base**exponent
    if isinstance(value, complex):
        raise ValueError("there is no real number that it is")
    return value


def _factorial(number: float) -> int:
    if number > 800:
        raise OverflowError("the number is too large")
    return math.factorial(int(number)) if number == int(number) else math.factorial(-1)


def _operators() -> dict[Any, Any]:
    import operator

    return {
        ast.Add: _bounded(operator.add),
        ast.Sub: _bounded(operator.sub),
        ast.Mult: _bounded(operator.mul),
        ast.Div: _bounded(operator.truediv),
        ast.FloorDiv: _bounded(operator.floordiv),
        ast.Mod: _bounded(operator.mod),
        ast.Pow: _power,
        ast.USub: _bounded(operator.neg),
        ast.UAdd: _bounded(operator.pos),
    }


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        name: _bounded(getattr(math, name))
        for name in (
            "sqrt",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "exp",
            "log",
            "log10",
            "log2",
            "floor",
            "ceil",
        )
    },
    "ln": _bounded(math.log),
    "abs": _bounded(abs),
    "round": _bounded(round),
    "max": _bounded(max),
    "min": _bounded(min),
    "pow": _power,
    "factorial": _bounded(_factorial),
}
_NAMES = {"pi": math.pi, "PI": math.pi, "e": math.e, "tau": math.tau}
