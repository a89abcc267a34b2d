from typing import Any

import pytest

from service.http.examples import ID, example_of

NODE = {
    "type": "object",
    "required": ["next"],
    "properties": {"next": {"anyOf": [{"$ref": "#/components/schemas/Node"}, {"type": "null"}]}},
}
LOOP = {"type": "object", "required": ["self"], "properties": {"self": {"$ref": "#/components/schemas/Loop"}}}


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "string", "examples": ["mine"]}, "mine"),
        ({"type": "string", "default": "given"}, "given"),
        ({"const": 7}, 7),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "string", "format": "uuid"}, ID),
        ({"type": "integer"}, 1),
        ({"type": "array", "items": {"type": "boolean"}}, [True]),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"type": "object", "required": ["a"], "properties": {"a": {"type": "number"}}}, {"a": 1.0}),
        (
            {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "string", "default": "x"}}},
            {"b": "x"},
        ),
        ({"$ref": "#/components/schemas/Node"}, {"next": None}),
        ({}, {}),
    ],
)
def test_an_example_fits_its_schema(schema: dict[str, Any], example: Any) -> None:
    assert example_of(schema, {"Node": NODE}) == example


def test_a_schema_that_holds_itself_ends() -> None:
    assert isinstance(example_of({"$ref": "#/components/schemas/Loop"}, {"Loop": LOOP}), dict)
