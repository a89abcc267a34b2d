"""Which loader of a graph takes a file: by the file's name, as the contract maps it (1.1), if the flow lets it in."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from loaders import DETECT, FLOWISE_LOADERS, LOADERS
from service.chatflows.graph import Node
from service.chatflows.overrides import Gate
from service.document_stores.types import Upload
from service.flow_upserts.types import FilesRefused

FIELDS: Mapping[str, str] = {
    "textFile": "txtFile",
    "pdfFile": "pdfFile",
    "docxFile": "docxFile",
    "csvFile": "csvFile",
    "jsonFile": "jsonFile",
    "jsonlinesFile": "jsonlinesFile",
    "epubFile": "epubFile",
    "microsoftWord": "docxFile",
    "microsoftExcel": "excelFile",
    "microsoftPowerpoint": "powerpointFile",
    "fileLoader": "file",
    "unstructuredFileLoader": "fileObject",
}
"""Loader -> its field that holds files."""

GATE_FOR_ALL = "files"
"""What Flowise's forms call the field of every loader: opening it opens the loader's own."""

_BY_SUFFIX: Mapping[str, tuple[str, ...]] = {
    ".txt": ("txtFile",),
    ".pdf": ("pdfFile",),
    ".json": ("jsonFile",),
    ".jsonl": ("jsonlinesFile",),
    ".csv": ("csvFile",),
    ".xls": ("excelFile", "csvFile"),
    ".xlsx": ("excelFile", "csvFile"),
    ".docx": ("docxFile",),
    ".doc": ("docxFile",),
    ".pptx": ("powerpointFile",),
    ".epub": ("epubFile",),
}
_ANY = ("file", "fileObject")
_FALLBACK = "txtFile"

MARKER = "FILE-STORAGE::"
"""Begins the name of a file that another server keeps: nothing is read by it here."""


def loader_for(upload: Upload, loaders: Sequence[Node], gate: Gate, *, opened: bool) -> Node:
    """The loader that takes a file. `opened`: the vector store takes files of whoever may upsert.

    Raises `FilesRefused`, which says what takes the file or what opens the flow for it.
    """
    suffix = PurePosixPath(upload.name).suffix.lower()
    wanted = (*_BY_SUFFIX.get(suffix, ()), *_ANY, _FALLBACK)
    fitting = [node for field in wanted for node in loaders if FIELDS.get(node.name) == field]
    if not fitting:
        there = ", ".join(node.title for node in loaders if node.name in FIELDS)
        if not there:
            raise FilesRefused(f"files: this chatflow has no loader that takes files, such as '{upload.name[:200]}'")
        raise FilesRefused(
            f"files: no loader of this vector store takes '{upload.name[:200]}' ({wanted[0]});"
            f" its loaders of files: {there}"
        )
    for node in fitting:
        if opened or gate.opens(node, FIELDS[node.name], GATE_FOR_ALL):
            return node
    first = fitting[0]
    raise FilesRefused(
        f"files: this chatflow takes no files from callers. Turn on fileUpload of the vector store, or enable"
        f" '{FIELDS[first.name]}' (or 'files') of the node '{first.label}' in apiConfig.overrideConfig."
    )


def component_for(upload: Upload, loader: Node) -> str:
    """The loader that reads a file: the node's own for the kinds it is for, else the one that fits the content."""
    own = FLOWISE_LOADERS.get(loader.name, DETECT)
    suffix = PurePosixPath(upload.name).suffix.lower()
    return loader.name if own != DETECT and suffix in LOADERS[own].suffixes else "file"
