"""The generated parts of the README are fresh, and what it names exists; test_docs.py looks at its code blocks."""

import re
import subprocess
import sys
from hashlib import sha256

import pytest

from service.settings import Settings, setting_names
from tests.architecture.readme import PARTS
from tests.architecture.source import ROOT

README = (ROOT / "README.md").read_text("utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
COG = ["-m", "cogapp", "-I", ".", "-P", "-p", "from tests.architecture.readme import *"]
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def anchor(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_generated_parts_are_fresh() -> None:
    check = [sys.executable, *COG, "--check", "--diff", "README.md"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `make docs` and commit the README\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("part", PARTS)
def test_every_generated_part_stands_in_the_readme_once(part: str) -> None:
    assert README.count(f"[[[cog print({part}()) ]]]") == 1


def test_links_lead_to_headings_that_exist() -> None:
    headings = {anchor(found) for found in re.findall(r"^#+ (.*)$", README, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= headings


def test_the_tests_behind_the_guarantees_exist() -> None:
    rows = README.partition("\n## Guarantees\n")[2].partition("\n## ")[0].splitlines()
    named = [re.findall(r"\]\((tests/[^)]+)\)", row) for row in rows if row.startswith("| ")][2:]
    assert len(named) > 10
    assert all(found and all((ROOT / path).is_file() for path in found) for found in named)


def test_every_setting_that_is_named_exists() -> None:
    known = {*setting_names(), "RAGSTONE_CONFIG", "RAGSTONE_URL", "RAGSTONE_API_KEY"}
    known.add(Settings.model_fields["variables_prefix"].default)
    assert set(re.findall(r"RAGSTONE_[A-Z_]+", README + CHANGELOG)) <= known


def test_the_licence_is_apache_2_unchanged() -> None:
    """The text as published, byte for byte."""
    assert sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2
