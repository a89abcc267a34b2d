"""Filters as SQL over a `jsonb` column: for pgvector, for the ledger and for the keyword index alike.

Names and values travel as parameters only; the SQL text depends on nothing but the filter's shape. The column must be
NOT NULL. Equality is written as containment (`@>`), which a GIN index with `jsonb_path_ops` answers. Paths are walked
by strict JSON paths, whose errors (no object here, an array there) mean "no match", as the grammar wants it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import sql

from stores.vector.filters import And, Condition, Filter, Not, Operator, Or, Scalar
from stores.vector.points import encode

_CONTAINMENT_LIMIT = 64
"""`$in` with more values than this is one look-up in a list instead of one containment test a value."""

_CONTAINMENTS = 1_024
"""Parameters of a filter from which on every list of values is looked up: a statement takes 65,535 of them, and takes
long to plan with a few thousand."""

_JSONPATH_OPERATORS = {Operator.GT: ">", Operator.GTE: ">=", Operator.LT: "<", Operator.LTE: "<="}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A boolean SQL expression that is never NULL, and the named parameters it needs."""

    expression: sql.Composable
    params: dict[str, Any] = field(default_factory=dict)


def compile_filter(
    where: Filter, column: sql.Composable, *, prefix: str = "filter", ids: Mapping[str, sql.Composable] | None = None
) -> Compiled:
    """The filter as an expression over `column`; parameter names start with `prefix`, which must be an identifier.

    `ids`: fields that hold, besides what they hold in `column`, the id in another column, a `uuid` that is not NULL.
    """
    compiler = _Compiler(column, prefix, ids or {})
    return Compiled(compiler.expression(where), compiler.params)


class _Compiler:
    def __init__(self, column: sql.Composable, prefix: str, ids: Mapping[str, sql.Composable]) -> None:
        self.column = column
        self.prefix = prefix
        self.ids = ids
        self.params: dict[str, Any] = {}

    def expression(self, where: Filter) -> sql.Composable:
        match where:
            case And(parts):
                return self.joined(parts, every=True)
            case Or(parts):
                return self.joined(parts, every=False)
            case Not(part):
                return sql.SQL("(NOT {})").format(self.expression(part))
            case Condition((name,), operator, values) if name in self.ids:
                if operator is Operator.EXISTS:
                    return sql.SQL("true") if values[0] else sql.SQL("false")
                return sql.SQL("({} OR {})").format(
                    self.condition((name,), operator, values), self.identified(self.ids[name], operator, values)
                )
            case Condition(path, operator, values):
                return self.condition(path, operator, values)

    def condition(self, path: tuple[str, ...], operator: Operator, values: Sequence[Scalar]) -> sql.Composable:
        match operator:
            case Operator.EXISTS:
                found = self.exists(_json_path(path))
                return found if values[0] else sql.SQL("(NOT {})").format(found)
            case Operator.EQ | Operator.IN:
                tested = len(values) <= (_CONTAINMENT_LIMIT if len(self.params) < _CONTAINMENTS else 1)
                return self.contained(path, values) if tested else self.listed(path, values)
            case _:
                test = f"? (@ {_JSONPATH_OPERATORS[operator]} $value)"
                tests = [self.exists(f"{_json_path(path)}{each} {test}", values[0]) for each in ("", "[*]")]
                return sql.SQL("({} OR {})").format(*tests)

    def identified(self, column: sql.Composable, operator: Operator, values: Sequence[Scalar]) -> sql.Composable:
        """As a text, the id in the column meets the condition."""
        texts = [value for value in values if isinstance(value, str)]
        if operator in (Operator.EQ, Operator.IN):
            known = [text for text in texts if _is_id(text)]
            return sql.SQL("{} = ANY({}::uuid[])").format(column, self.param(known)) if known else sql.SQL("false")
        if not texts:
            return sql.SQL("false")
        compared = sql.SQL(_JSONPATH_OPERATORS[operator])
        return sql.SQL('{}::text COLLATE "C" {} {}::text').format(column, compared, self.param(texts[0]))

    def joined(self, parts: Sequence[Filter], *, every: bool) -> sql.Composable:
        if not parts:
            return sql.SQL("true") if every else sql.SQL("false")
        joint = sql.SQL(" AND ") if every else sql.SQL(" OR ")
        return sql.SQL("({})").format(joint.join([self.expression(part) for part in parts]))

    def contained(self, path: tuple[str, ...], values: Sequence[Scalar]) -> sql.Composable:
        """Equal to the value, or an array that holds it."""
        if not values:
            return sql.SQL("false")
        tests = [
            sql.SQL("{} @> {}::jsonb").format(self.column, self.param(_nested(path, operand)))
            for value in values
            for operand in (encode(value), f"[{encode(value)}]")
        ]
        return sql.SQL("({})").format(sql.SQL(" OR ").join(tests))

    def listed(self, path: tuple[str, ...], values: Sequence[Scalar]) -> sql.Composable:
        """The value, or an element of it, is in a list."""
        return sql.SQL(
            "EXISTS (SELECT FROM"
            " (SELECT jsonb_path_query_first({column}, {path}::jsonpath, '{{}}', true) AS item) AS found,"
            " LATERAL jsonb_array_elements(CASE jsonb_typeof(item) WHEN 'array' THEN item"
            " ELSE jsonb_build_array(item) END) AS element"
            " WHERE item IS NOT NULL AND element.value = ANY({values}::jsonb[]))"
        ).format(
            column=self.column,
            path=self.param(_json_path(path)),
            values=self.param([encode(value) for value in values]),
        )

    def exists(self, path: str, value: Scalar = None) -> sql.Composable:
        return sql.SQL("coalesce(jsonb_path_exists({}, {}::jsonpath, {}::jsonb, true), false)").format(
            self.column, self.param(path), self.param(f'{{"value":{encode(value)}}}')
        )

    def param(self, value: Any) -> sql.Placeholder:
        name = f"{self.prefix}{len(self.params)}"
        self.params[name] = value
        return sql.Placeholder(name)


def _is_id(text: str) -> bool:
    """Whether it is a UUID, written as Postgres writes it."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _json_path(path: tuple[str, ...]) -> str:
    """A strict JSON path; `json.dumps` quotes as jsonpath strings want it."""
    return "strict $" + "".join(f".{json.dumps(name)}" for name in path)


def _nested(path: tuple[str, ...], operand: str) -> str:
    """`{"a":{"b":operand}}` for the path a.b."""
    opening = "".join(f"{{{json.dumps(name)}:" for name in path)
    return f"{opening}{operand}{'}' * len(path)}"
