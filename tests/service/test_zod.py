"""Schemas written for Zod: what is read, and what is refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.zod import DEEPEST, BadZod, json_schema

STRING, NUMBER = {"type": "string"}, {"type": "number"}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("z.string()", STRING),
        ("z.number().int().min(1).max(10)", {"type": "integer", "minimum": 1, "maximum": 10}),
        ("z.number().positive().lt(5.5)", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 5.5}),
        ("z.string().min(2, 'too short').max(4)", {"type": "string", "minLength": 2, "maxLength": 4}),
        (
            "z.string().email().describe('their \\u0041ddress')",
            {"type": "string", "format": "email", "description": "their Address"},
        ),
        ("z.array(z.string()).nonempty()", {"type": "array", "items": STRING, "minItems": 1}),
        (
            'z.enum(["a", "b"]).array().max(2)',
            {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "maxItems": 2},
        ),
        ("z.union([z.string(), z.null()])", {"anyOf": [STRING, {"type": "null"}]}),
        ("z.string().or(z.number())", {"anyOf": [STRING, NUMBER]}),
        ("z.string().nullable()", {"anyOf": [STRING, {"type": "null"}]}),
        ("z.literal(3)", {"const": 3}),
        ("z.record(z.string(), z.number())", {"type": "object", "additionalProperties": NUMBER}),
        (
            "z.tuple([z.string(), z.number()])",
            {"type": "array", "prefixItems": [STRING, NUMBER], "minItems": 2, "maxItems": 2},
        ),
        ("z.coerce.number()", NUMBER),
        ("z.date()", {"type": "string", "format": "date-time"}),
        ("z.any()", {}),
        ("z.string().regex(/^a[/]b$/i)", {"type": "string", "description": "Matches /^a[/]b$/i"}),
        (
            "z.object({ a: z.string(), // text\n 'b-c': z.boolean().optional(), /* b */ d: z.number().default(3), })",
            {
                "type": "object",
                "properties": {"a": STRING, "b-c": {"type": "boolean"}, "d": {"type": "number", "default": 3}},
                "required": ["a"],
            },
        ),
        (
            "z.object({a: z.string()}).strict();",
            {"type": "object", "properties": {"a": STRING}, "required": ["a"], "additionalProperties": False},
        ),
        (
            "z.discriminatedUnion('kind', [z.object({kind: z.literal('x')})])",
            {"anyOf": [{"type": "object", "properties": {"kind": {"const": "x"}}, "required": ["kind"]}]},
        ),
    ],
)
def test_what_is_usual_is_read(text: str, schema: dict[str, Any]) -> None:
    assert json_schema(text) == schema


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "'z' is missing"),
        ("z.string", "'(' is missing"),
        ("z.lazy(() => x)", "z.lazy is not known"),
        ("z.string().transform(v => v)", ".transform() is not known"),
        ("z.string().refine(check)", ".refine() is not known"),
        ("z.enum(KINDS)", "'[' is missing"),
        ("z.object({a: process.exit()})", "'z' is missing"),
        ("z.string().min(fetch('x'))", "'fetch' is not known"),
        ("z.string().describe(`a ${b}`)", "only literal values"),
        ("z.literal(" + "{a:" * 5000, "too deeply"),
        ("z.string()\nz.string()", "line 2"),
        ("z.number().min('1')", "a number is missing"),
        ("z.array(" * (DEEPEST + 1) + "z.string()" + ")" * (DEEPEST + 1), "too deeply"),
        ("z.literal(" + "[" * 5000, "too deeply"),
        ("x" * 60_000, "more than"),
    ],
)
def test_the_rest_is_named_and_refused(text: str, named: str) -> None:
    with pytest.raises(BadZod, match=r".") as refused:
        json_schema(text)
    assert named in str(refused.value)


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from(list("z.objectarystingnum(){}[],:'\"`/\\* \n0123$")), max_size=60))
def test_any_text_is_a_schema_or_refused(text: str) -> None:
    with suppress(BadZod):
        assert isinstance(json_schema(f"z.object({{a: z.string({text}"), dict)


def test_a_text_that_does_not_end_is_read_once() -> None:
    with pytest.raises(BadZod, match="'z' is missing"):
        json_schema('"' + '\\"' * 24_000)
