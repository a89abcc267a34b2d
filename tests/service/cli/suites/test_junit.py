"""JUnit XML that other programs read."""

from pathlib import Path
from typing import Any

from junitparser import JUnitXml
from lxml import etree  # type: ignore[import-untyped]  # ships no types

from service.cli.suites.checks import judge
from service.cli.suites.junit import write_failure, write_junit
from service.cli.suites.outcome import Broken
from tests.service.cli.suites.making import outcome, suite

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err"},
    "properties": {"property"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
}
"""What may stand in what, by the schema that Jenkins publishes and others follow."""
OF_ROOT = {"name", "time", "tests", "failures", "errors"}
NEEDED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name", "classname"},
          "property": {"name", "value"}, "failure": {"message", "type"}, "error": {"message", "type"}}  # fmt: skip


def checked(file: Path) -> Any:
    """The document, held against the common schema: elements, their attributes, and counts that are true."""
    root = etree.parse(str(file)).getroot()
    assert root.tag == "testsuites"
    assert set(root.attrib) <= OF_ROOT
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN.get(str(element.tag), set()), element.tag
        assert NEEDED.get(str(element.tag), set()) <= set(element.attrib), element.tag
    for level in (root, *root.iter("testsuite")):
        for count, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            assert int(level.get(count)) == len(list(level.iter(tag))), (level.tag, count)
        float(level.get("time"))
    return root


def test_every_check_is_a_case_and_every_broken_row_too(tmp_path: Path) -> None:
    broken = [Broken("b", 'Is "a" < b & c? \x00\x1f\ud800 😀', 1, "", {"judged": "the judge said\x07 nothing"})]
    run = outcome({"a": {"recall@5": [1.0] * 8}, "b": {"recall@5": [0.0] * 8}}, broken=broken)
    wished = suite(targets=[{"flow": "a"}, {"flow": "b"}])
    file = tmp_path / "junit.xml"
    write_junit(run, judge(run, wished, None), 1.25, file)
    root = checked(file)
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("time")) == ("4", "2", "1", "1.25")
    cases = {(case.get("classname"), case.get("name")): [child.tag for child in case] for case in root.iter("testcase")}
    assert cases == {
        ("Offices", "no case with an error"): ["failure"],
        ("Offices: a", "recall@5 ≥ 0.9"): ["system-out"],
        ("Offices: b", "recall@5 ≥ 0.9"): ["failure"],
        ("Offices: b", 'row: Is "a" < b & c? ��� 😀 (repeat 2)'): ["error"],
    }
    read = JUnitXml.fromfile(str(file))
    assert (read.tests, read.failures, read.errors) == (4, 2, 1)


def test_a_suite_that_could_not_be_run_says_so(tmp_path: Path) -> None:
    write_failure("Offices", "no service runs", tmp_path / "junit.xml")
    root = checked(tmp_path / "junit.xml")
    (error,) = root.iter("error")
    assert (root.get("tests"), root.get("errors"), error.get("message")) == ("1", "1", "no service runs")


def test_of_very_many_broken_rows_the_first_are_told(tmp_path: Path) -> None:
    broken = [Broken("a", f"Question {number}?", 0, "down", {}) for number in range(1000)]
    run = outcome({"a": {"recall@5": [1.0] * 8}}, broken=broken)
    write_junit(run, judge(run, suite(targets=[{"flow": "a"}]), None), 1.0, tmp_path / "junit.xml")
    assert checked(tmp_path / "junit.xml").get("errors") == "200"
