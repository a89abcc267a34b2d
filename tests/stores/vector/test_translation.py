"""Qdrant's filters mean here what they mean there."""

from typing import Any

import pytest

from stores.vector.filters import FilterError, matches, parse
from stores.vector.translation import from_qdrant

METADATA: dict[str, Any] = {"lang": "de", "page": 3, "tags": ["a", "b"], "loc": {"line": 7}}


def of(key: str, **condition: Any) -> dict[str, Any]:
    """A condition on a field of the metadata."""
    return {"key": f"metadata.{key}", **condition}


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ({"must": [of("lang", match={"value": "de"})]}, True),
        ({"must": of("lang", match={"value": "en"})}, False),
        ({"must": [of("lang", match={"any": ["en", "de"]}), of("page", range={"gte": 3, "lt": 4})]}, True),
        ({"must": [of("page", range={"gt": 3, "lt": None})]}, False),
        ({"should": [of("page", match={"value": 9}), of("tags[]", match={"value": "b"})]}, True),
        ({"should": [of("page", match={"value": 9})]}, False),
        ({"must_not": [of("lang", match={"value": "de"})]}, False),
        ({"must": [of("lang", match={"except": ["en"]})], "must_not": [of("page", match={"value": 9})]}, True),
        ({"must": [of("missing", match={"except": ["en"]})]}, False),
        ({"must": [{"is_empty": {"key": "metadata.missing"}}]}, True),
        ({"must": [{"should": [of("loc.line", match={"value": 7}), of("page", match={"value": 0})]}]}, True),
        ({"lang": "de", "page": {"$gt": 2}}, True),
        ({}, True),
        ({"must": []}, True),
        ({"should": [], "must_not": None}, True),
        ({"must_not": [{"must": []}]}, False),
    ],
)
def test_a_filter_holds_as_in_qdrant(source: dict[str, Any], holds: bool) -> None:
    assert matches(parse(from_qdrant(source)), METADATA) is holds


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ({"must": [{"has_id": [1]}]}, ".must[0]"),
        ({"must": [of("lang", match={"text": "de"})]}, ".must[0].match"),
        ({"must": [of("page", range={"over": 3})]}, ".must[0].range.over"),
        ({"must": [of("page", range={"gt": None})]}, ".must[0].range"),
        ({"must": ["lang"]}, ".must[0]"),
        ({"must": [], "min_should": {}}, ".min_should"),
        ({"should": [{"must": [of("x", geo_radius={})]}]}, ".should[0].must[0]"),
    ],
)
def test_what_has_no_meaning_is_named(source: dict[str, Any], named: str) -> None:
    with pytest.raises(FilterError) as refused:
        from_qdrant(source)
    assert refused.value.path == named


def test_a_filter_may_not_be_nested_without_end() -> None:
    source: dict[str, Any] = of("lang", match={"value": "de"})
    for _ in range(20):
        source = {"must": [source]}
    with pytest.raises(FilterError, match="deep"):
        from_qdrant(source)
