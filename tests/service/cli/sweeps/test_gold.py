"""Questions that name by ids what must be found are not put to copies, which have other ids."""

from pathlib import Path
from typing import Any, cast

import pytest

from service.cli.client import Client
from service.cli.exits import UsageProblem
from service.cli.suites.plan import planned
from service.cli.sweeps.gold import refuse_ids
from service.cli.sweeps.spec import Sweep

NOBODY = cast(Client, None)
"""A file's rows need no service."""


def refuse(folder: Path, *rows: str) -> None:
    """Look at a sweep over a file of these rows."""
    (folder / "rows.jsonl").write_text("".join(f"{row}\n" for row in rows))
    fields: dict[str, Any] = {
        "name": "Settings",
        "dataset": {"file": "rows.jsonl"},
        "target": {"document_store": "Handbook"},
        "settings": {"chunk_size": [500]},
    }
    file = folder / "sweep.yaml"
    refuse_ids(NOBODY, planned(file, Sweep.model_validate(fields).suite()), "")


@pytest.mark.parametrize("kind", ["chunkId", "documentId"])
def test_rows_that_name_ids_are_counted_and_the_remedy_is_told(kind: str, tmp_path: Path) -> None:
    row = f'{{"input": "How many days?", "sources": [{{"quote": "30 days"}}, {{"{kind}": "7"}}]}}'
    with pytest.raises(UsageProblem, match=r"2 of its questions name chunks or documents by ids.*--gold quote"):
        refuse(tmp_path, row, row, '{"input": "Where?", "sources": ["handbook.md"]}')


def test_quotes_names_and_drafts_are_taken(tmp_path: Path) -> None:
    refuse(
        tmp_path,
        '{"input": "How many days?", "sources": [{"quote": "30 days"}, "handbook.md"]}',
        '{"input": "Since when?"}',
        '{"input": "Where?", "sources": [{"chunkId": "7"}], "draft": true}',
    )
