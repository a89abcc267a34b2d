"""Takes the branch of the first condition that holds."""

import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import regex

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.nodes.unmarked import unmarked
from service.agentflows.state import Moment
from service.agentflows.templates import Template, shown
from service.agentflows.types import BadValue, Done
from service.chatflows.steps.base import BadOption
from service.chatflows.types import StepEvent

MAX_PATTERN = 2_000
"""Characters: to make a long one ready holds up all else, and variables may stand in patterns."""

MATCH_SECONDS = 1.0
"""How long a pattern may look; some would look for ever."""

TEXTS = (
    "equal", "notEqual", "contains", "notContains", "startsWith", "endsWith", "regex", "isEmpty", "notEmpty",
)  # fmt: skip
NUMBERS = (
    "equal", "notEqual", "smaller", "smallerEqual", "larger", "largerEqual", "isEmpty", "notEmpty",
)  # fmt: skip
BOOLEANS = ("equal", "notEqual")
OPERATIONS = {"string": TEXTS, "number": NUMBERS, "boolean": BOOLEANS}

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,10})?")


@dataclass(frozen=True, slots=True)
class Test:
    """One condition."""

    kind: str
    operation: str
    left: Template
    right: Template

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Test":
        """A row of the node. Raises `BadOption`."""
        kind = row.get("type") or "string"
        if not isinstance(kind, str) or kind not in OPERATIONS:
            raise BadOption(f"conditions: '{kind}' is none of {', '.join(OPERATIONS)}")
        operation = row.get("operation") or "equal"
        if operation not in OPERATIONS[kind]:
            raise BadOption(f"conditions: '{operation}' is none of {', '.join(OPERATIONS[kind])}")
        right = Template.parse(row.get("value2"))
        if operation == "regex" and not right.names:
            _pattern(right.parts[0])
        return cls(kind, operation, Template.parse(row.get("value1")), right)

    def holds(self, moment: Moment) -> bool:
        """Whether the condition holds. Raises `BadOption` for a pattern that is none, `TimeoutError`."""
        left, right = self.left.text(moment).strip(), self.right.text(moment).strip()
        if self.operation in ("isEmpty", "notEmpty"):
            return (left == "") is (self.operation == "isEmpty")
        if self.operation == "regex":
            return _pattern(right).search(unmarked(left), timeout=MATCH_SECONDS) is not None
        if self.kind == "number":
            return _numbers(self.operation, _number(left), _number(right))
        if self.kind == "boolean":
            return (_truth(left) is _truth(right)) is (self.operation == "equal")
        return _texts(self.operation, unmarked(left), unmarked(right))


def _pattern(text: str) -> "regex.Pattern[str]":
    if len(text) > MAX_PATTERN:
        raise BadOption(f"conditions: a pattern has {MAX_PATTERN} characters at most")
    try:
        return regex.compile(text)
    except (regex.error, RecursionError, OverflowError) as error:
        raise BadOption(f"conditions: '{text}' is no pattern: {error}") from None


def _texts(operation: str, left: str, right: str) -> bool:
    match operation:
        case "equal":
            return left == right
        case "notEqual":
            return left != right
        case "contains":
            return right in left
        case "notContains":
            return right not in left
        case "startsWith":
            return left.startswith(right)
    return left.endswith(right)


def _numbers(operation: str, left: float, right: float) -> bool:
    match operation:
        case "equal":
            return left == right
        case "notEqual":
            return left != right
        case "smaller":
            return left < right
        case "smallerEqual":
            return left <= right
        case "larger":
            return left > right
    return left >= right


def _number(text: str) -> float:
    """The number that a text begins with: of `8/10` and `8 points` 8. What is none counts as 0, as it does where these
    flows come from."""
    found = _NUMBER.match(text)
    return float(found.group()) if found else 0.0


def _truth(text: str) -> bool:
    return text.lower() not in ("", "false", "0", "no", "null", "undefined")


class Condition(FlowNode):
    """Takes the branch of the first condition that holds; the last branch is for none."""

    label = "Condition"

    def read(self, maker: Maker) -> None:
        """The conditions; the branch behind them is the last."""
        self._tests = tuple(Test.read(row) for row in self.rows("conditions"))
        beyond = [edge.branch for edge in maker.level.out[self.node.id] if (edge.branch or 0) > len(self._tests)]
        if beyond:
            maker.problem(f"a link leaves by branch {beyond[0]}, and there are {len(self._tests)} conditions")

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done, None]:
        """The branch."""
        taken = len(self._tests)
        told = []
        for place, test in enumerate(self._tests):
            holds = taken == len(self._tests) and self._holds(test, moment)
            taken = place if holds else taken
            about = {"type": test.kind, "operation": test.operation}
            values = {"value1": test.left.text(moment), "value2": test.right.text(moment)}
            told.append({**about, **values, "isFulfilled": holds})
        otherwise = {"type": "string", "value1": "", "operation": "equal", "value2": "", "isFulfilled": False}
        told.append({**otherwise, "isFulfilled": taken == len(self._tests)})
        yield Done(
            output={"conditions": told},
            input={"conditions": [{k: v for k, v in row.items() if k != "isFulfilled"} for row in told[:-1]]},
            branches=frozenset({taken}),
        )

    def _holds(self, test: Test, moment: Moment) -> bool:
        try:
            return test.holds(moment)
        except BadOption as error:
            raise BadValue(f"{self.title}: {error}") from None
        except TimeoutError:
            raise BadValue(f"{self.title}: the pattern '{shown(test.right.text(moment))}' takes too long") from None
