"""Document stores as files, by the command line."""

import json
import tarfile
from pathlib import Path

from service.cli.client import connect
from tests.service.cli.conftest import Up, ragstone


def test_a_document_store_goes_out_into_a_file_and_in_again(service: Up, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("The canteen opens at noon. The library opens at nine.")
    assert ragstone("ingest", note, "--store", "Travelling", "--data", service.data).returncode == 0
    for name in ("out.tar", "out.tar.gz"):
        file = tmp_path / name
        done = ragstone("store", "export", "Travelling", file, "--data", service.data, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["bytes"] == file.stat().st_size
        with tarfile.open(file) as tar:
            assert tar.getnames()[0] == "manifest.json"
        done = ragstone("store", "import", file, "--name", f"From {name}", "--data", service.data, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["numChunks"] == 1
        found = ragstone("search", "When can I eat?", "--store", f"From {name}", "--data", service.data)
        assert "canteen opens at noon" in found.stdout
    again = ragstone("ingest", note, "--store", "From out.tar", "--data", service.data, "--json")
    assert json.loads(again.stdout)["numAdded"] == 0
    bare = ragstone(
        "store", "export", "Travelling", tmp_path / "bare.tar", "--no-vectors", "--no-blobs", "--data", service.data
    )
    assert bare.returncode == 0, bare.stderr
    done = ragstone("store", "import", tmp_path / "bare.tar", "--name", "Bare", "--data", service.data)
    assert (done.returncode, "embedded now" in done.stderr) == (0, True)
    assert "canteen" in ragstone("search", "When can I eat?", "--store", "Bare", "--data", service.data).stdout


def test_document_stores_are_listed_with_what_they_hold(service: Up, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("The canteen opens at noon.")
    assert ragstone("ingest", note, "--store", "Listed \x1b[31m", "--data", service.data).returncode == 0
    done = ragstone("store", "list", "--data", service.data)
    assert done.returncode == 0, done.stderr
    columns, first, *_ = done.stdout.splitlines()
    assert columns.split() == ["name", "id", "status", "documents", "chunks", "vector", "store", "embedding"]
    listed = ragstone("store", "list", "--data", service.data, "--json")
    store = json.loads(listed.stdout)[0]
    known = {"name": "Listed \x1b[31m", "status": "UPSERTED", "documents": 1, "chunks": 1, "vectorStore": "pgvector"}
    assert store == {**known, "id": store["id"], "embedding": store["embedding"]}
    cells = ["Listed", "\ufffd[31m", store["id"], "UPSERTED", "1", "1", "pgvector", store["embedding"]]
    assert first.split() == cells
    told = ragstone("search", "x", "--store", "No such", "--data", service.data)
    assert "`ragstone store list` lists what there is" in told.stderr


def test_a_document_store_without_documents_is_listed_too(service: Up) -> None:
    with connect(service.data, None, None) as client:
        before = {each["id"] for each in client.get("/document-store/store")}
        made = client.post("/document-store/store", {"name": "Empty", "vectorStoreConfig": '{"name": "faiss"}'})
    listed = json.loads(ragstone("store", "list", "--data", service.data, "--json").stdout)
    assert {each["id"] for each in listed} == before | {made["id"]}
    shown = ragstone("store", "list", "--data", service.data).stdout
    (row,) = [line.split() for line in shown.splitlines() if made["id"] in line]
    assert row == ["Empty", made["id"], "EMPTY", "0", "0", "faiss", "default"]


def test_vectors_are_made_anew_where_they_are_wanted(service: Up, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("The canteen opens at noon.")
    assert ragstone("ingest", note, "--store", "Moving", "--data", service.data).returncode == 0
    done = ragstone("store", "reindex", "Moving", "--vector-store", "faiss", "--data", service.data, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)["result"]
    assert (result["numIndexed"], result["vectorStore"]) == (1, "faiss")
    found = ragstone("search", "When can I eat?", "--store", "Moving", "--data", service.data)
    assert "canteen opens at noon" in found.stdout
    for options, code, text in (
        (("--vector-config", '{"chromaURL": "x"}'), 2, "--vector-config needs --vector-store"),
        (("--vector-store", "chroma", "--vector-config", "no"), 2, "--vector-config is not valid JSON"),
        (("--vector-store", "chroma", "--vector-config", '{"chromaURL": "x"}'), 1, "must be like http://host:port"),
        (("--vector-store", "milvus"), 1, "chroma, qdrant"),
    ):
        done = ragstone("store", "reindex", "Moving", *options, "--data", service.data)
        assert (done.returncode, text in done.stderr, done.stderr.count("\n")) == (code, True, 1), done.stderr


def test_what_cannot_be_moved_is_said_in_one_line(service: Up, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(b"no archive at all")
    for arguments, code, text in (
        (("export", "No such", tmp_path / "x.tar"), 1, "there is no document store 'No such'"),
        (("import", tmp_path / "missing.tar"), 2, "there is no file"),
        (("import", damaged), 1, "cut short"),
    ):
        done = ragstone("store", *arguments, "--data", service.data)
        assert (done.returncode, text in done.stderr, done.stderr.count("\n")) == (code, True, 1), done.stderr
    assert not (tmp_path / "x.tar").exists()
    assert list(tmp_path.glob("*.part")) == []
