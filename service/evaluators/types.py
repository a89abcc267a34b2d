"""What an evaluator is (contract 5.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class EvaluatorType(StrEnum):
    """What it looks at."""

    TEXT = "text"
    """The words of the answer."""
    JSON = "json"
    """Whether the answer is JSON."""
    NUMERIC = "numeric"
    """A measure of the run."""
    LLM = "llm"
    """What a model says of it."""


class TextOperator(StrEnum):
    """How words are looked for: of several, separated by commas, in lower case and without space around them."""

    CONTAINS_ANY = "ContainsAny"
    CONTAINS_ALL = "ContainsAll"
    CONTAINS_NOT_ANY = "DoesNotContainAny"
    CONTAINS_NOT_ALL = "DoesNotContainAll"
    STARTS_WITH = "StartsWith"
    STARTS_NOT_WITH = "NotStartsWith"


class JsonOperator(StrEnum):
    """What the answer should be."""

    VALID = "IsValidJSON"
    INVALID = "IsNotValidJSON"


class NumericOperator(StrEnum):
    """How a measure is compared with the value."""

    EQUALS = "equals"
    EQUALS_NOT = "notEquals"
    GREATER = "greaterThan"
    LESS = "lessThan"
    GREATER_OR_EQUAL = "greaterThanOrEquals"
    LESS_OR_EQUAL = "lessThanOrEquals"


class Measure(StrEnum):
    """What is measured: tokens, latencies in milliseconds, characters of the answer."""

    TOTAL_TOKENS = "totalTokens"
    PROMPT_TOKENS = "promptTokens"
    COMPLETION_TOKENS = "completionTokens"
    API_LATENCY = "apiLatency"
    LLM_LATENCY = "llm"
    CHAIN_LATENCY = "chain"
    RESPONSE_LENGTH = "responseLength"


@dataclass(frozen=True, slots=True)
class EvaluatorDraft:
    """What callers set of an evaluator. `config` holds the fields of its type, by their names on the wire."""

    name: str
    type: EvaluatorType
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evaluator:
    """An evaluator as it is kept: what it was checked to be is what it is."""

    id: UUID
    workspace: UUID
    name: str
    type: EvaluatorType
    config: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
