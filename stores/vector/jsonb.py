"""Filters as SQL over a `jsonb` column: for pgvector, for the ledger and for the keyword index alike.

Names and values travel as parameters only; the SQL text depends on nothing but the filter's shape. The column must be
NOT NULL. Equality is written as containment (`@>`), which a GIN index with `jsonb_path_ops` answers. Paths are walked
by strict JSON paths, whose errors (no object here, an array there) mean "no match", as the grammar wants it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from stores.vector.filters import And, Condition, Filter, Not, Operator, Or, Scalar
from stores.vector.points import encode

_CONTAINMENT_LIMIT = 64
"""`$in` with more values than this is one look-up in a list instead of one containment test a value."""

_JSONPATH_OPERATORS = {Operator.GT: ">", Operator.GTE: ">=", Operator.LT: "<", Operator.LTE: "<="}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A boolean SQL expression that is never NULL, and the named parameters it needs."""

    expression: sql.Composable
    params: dict[str, Any] = field(default_factory=dict)


def compile_filter(where: Filter, column: sql.Composable, *, prefix: str = "filter") -> Compiled:
    """The filter as an expression over `column`; parameter names start with `prefix`, which must be an identifier."""
    compiler = _Compiler(column, prefix)
    return Compiled(compiler.expression(where), compiler.params)


class _Compiler:
    def __init__(self, column: sql.Composable, prefix: str) -> None:
        self.column = column
        self.prefix = prefix
        self.params: dict[str, Any] = {}

    def expression(self, where: Filter) -> sql.Composable:
        match where:
            case And(parts):
                return self.joined(parts, every=True)
            case Or(parts):
                return self.joined(parts, every=False)
            case Not(part):
                return sql.SQL("(NOT {})").format(self.expression(part))
            case Condition(path, Operator.EXISTS, values):
                found = self.exists(_json_path(path))
                return found if values[0] else sql.SQL("(NOT {})").format(found)
            case Condition(path, Operator.EQ | Operator.IN, values):
                return self.contained(path, values) if len(values) <= _CONTAINMENT_LIMIT else self.listed(path, values)
            case Condition(path, operator, values):
                test = f"? (@ {_JSONPATH_OPERATORS[operator]} $value)"
                tests = [self.exists(f"{_json_path(path)}{each} {test}", values[0]) for each in ("", "[*]")]
                return sql.SQL("({} OR {})").format(*tests)

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


def _json_path(path: tuple[str, ...]) -> str:
    """A strict JSON path; `json.dumps` quotes as jsonpath strings want it."""
    return "strict $" + "".join(f".{json.dumps(name)}" for name in path)


def _nested(path: tuple[str, ...], operand: str) -> str:
    """`{"a":{"b":operand}}` for the path a.b."""
    opening = "".join(f"{{{json.dumps(name)}:" for name in path)
    return f"{opening}{operand}{'}' * len(path)}"
