"""Who may read what evaluations found: what was found for somebody is for those alone who may read every document."""

import pytest

from tests.compat.keys import client_of
from tests.compat.test_datasets import refused, said
from tests.service.evaluations.outcomes.conftest import ROWS, Desk

SECRET = "Anna of payroll has 30 days of paid leave a year."


@pytest.fixture
def found(desk: Desk) -> tuple[str, str]:
    """Two evaluations of a restricted document: for somebody who may find it, and for nobody in particular."""
    store, dataset = desk.store(texts={"travel.md": "Journeys by train."}), desk.dataset(ROWS[:1])
    metadata = {"principals": '["user:anna"]'}
    files = [("files", ("leave.md", SECRET.encode()))]
    said(desk.client.post(f"/document-store/upsert/{store}", files=files, data=metadata))
    named = desk.run(dataset, {"storeId": store, "options": {"principals": ["user:anna"]}})
    return named, desk.run(dataset, {"storeId": store}, name="Other")


@pytest.mark.parametrize("part", ["results", "export", "export?format=csv", "report"])
def test_passages_for_somebody_are_for_keys_that_read_everything(desk: Desk, found: tuple[str, str], part: str) -> None:
    named, unnamed = found
    with client_of(desk.live, "evaluations:view", "documentStores:view") as keyed:
        shown = keyed.get(f"/evaluations/{named}/{part}")
        assert (shown.status_code, SECRET in shown.text) == (200, True)
    with client_of(desk.live, "evaluations:view") as keyed:
        hidden = keyed.get(f"/evaluations/{named}/{part}")
        refused(hidden, 403, "documentStores:view")
        assert SECRET not in hidden.text
        other = keyed.get(f"/evaluations/{unnamed}/{part}")
        assert (other.status_code, SECRET in other.text) == (200, False)


def test_no_other_route_shows_such_passages(desk: Desk, found: tuple[str, str]) -> None:
    named, unnamed = found
    paths = (f"{named}", f"{named}/summary", f"{named}/progress", f"{named}/compare/{unnamed}", f"versions/{named}", "")
    with client_of(desk.live, "evaluations:view") as keyed:
        refused(keyed.get(f"/evaluations/{unnamed}/report", params={"compare": named}), 403, "documentStores:view")
        for path in paths:
            shown = keyed.get(f"/evaluations/{path}")
            assert (shown.status_code, "payroll" in shown.text) == (200, False), path


def test_reports_are_kept_by_no_cache_and_framed_by_no_page(desk: Desk, found: tuple[str, str]) -> None:
    page = desk.client.get(f"/evaluations/{found[1]}/report")
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
