"""Loaders: bytes to documents. One file and one row here for each format."""

from collections.abc import Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from types import MappingProxyType

from loaders.base import Failure, Loader, LoaderError


@dataclass(frozen=True, slots=True)
class LoaderRow:
    """A loader: where its class is ("module:Class"), and which file names and MIME types point to it."""

    target: str
    label: str
    suffixes: tuple[str, ...]
    mimes: tuple[str, ...]


_OPEN_XML = "application/vnd.openxmlformats-officedocument."
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."

LOADERS: Mapping[str, LoaderRow] = MappingProxyType(
    {
        "text": LoaderRow("loaders.text:TextLoader", "plain text", (".txt", ".text", ".log"), ("text/plain",)),
        "markdown": LoaderRow(
            "loaders.markdown:MarkdownLoader",
            "Markdown",
            (".md", ".markdown", ".mdown", ".mkd", ".mdx"),
            ("text/markdown", "text/x-markdown"),
        ),
        "html": LoaderRow(
            "loaders.html:HtmlLoader", "HTML", (".html", ".htm", ".xhtml"), ("text/html", "application/xhtml+xml")
        ),
        "pdf": LoaderRow("loaders.pdf:PdfLoader", "PDF", (".pdf",), ("application/pdf",)),
        "docx": LoaderRow(
            "loaders.docx:DocxLoader",
            "Word (DOCX)",
            (".docx", ".docm", ".dotx"),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",),
        ),
        "csv": LoaderRow("loaders.csv:CsvLoader", "CSV", (".csv",), ("text/csv", "application/csv")),
        "tsv": LoaderRow("loaders.csv:TsvLoader", "TSV", (".tsv", ".tab"), ("text/tab-separated-values",)),
        "json": LoaderRow("loaders.json:JsonLoader", "JSON", (".json",), ("application/json", "text/json")),
        "jsonl": LoaderRow(
            "loaders.json:JsonLinesLoader",
            "JSON Lines",
            (".jsonl", ".ndjson"),
            ("application/jsonl", "application/x-ndjson", "application/x-jsonlines"),
        ),
        "xlsx": LoaderRow(
            "loaders.xlsx:XlsxLoader",
            "Excel (XLSX)",
            (".xlsx", ".xlsm", ".xltx"),
            (_OPEN_XML + "spreadsheetml.sheet", "application/vnd.ms-excel.sheet.macroenabled.12"),
        ),
        "xls": LoaderRow("loaders.xls:XlsLoader", "Excel (XLS)", (".xls", ".xlt"), ("application/vnd.ms-excel",)),
        "ods": LoaderRow(
            "loaders.opendocument:OdsLoader", "OpenDocument sheet", (".ods", ".ots"), (_OPEN_DOCUMENT + "spreadsheet",)
        ),
        "pptx": LoaderRow(
            "loaders.pptx:PptxLoader",
            "PowerPoint (PPTX)",
            (".pptx", ".pptm", ".ppsx"),
            (_OPEN_XML + "presentationml.presentation",),
        ),
        "odt": LoaderRow(
            "loaders.opendocument:OdtLoader", "OpenDocument text", (".odt", ".ott"), (_OPEN_DOCUMENT + "text",)
        ),
        "odp": LoaderRow(
            "loaders.opendocument:OdpLoader",
            "OpenDocument presentation",
            (".odp", ".otp"),
            (_OPEN_DOCUMENT + "presentation",),
        ),
        "doc": LoaderRow("loaders.doc:DocLoader", "Word (DOC)", (".doc", ".dot"), ("application/msword",)),
        "rtf": LoaderRow("loaders.rtf:RtfLoader", "RTF", (".rtf",), ("application/rtf", "text/rtf")),
        "epub": LoaderRow("loaders.epub:EpubLoader", "EPUB", (".epub",), ("application/epub+zip",)),
        "eml": LoaderRow("loaders.eml:EmlLoader", "mail (EML)", (".eml",), ("message/rfc822",)),
        "msg": LoaderRow("loaders.msg:MsgLoader", "Outlook mail (MSG)", (".msg",), ("application/vnd.ms-outlook",)),
        "tnef": LoaderRow(
            "loaders.tnef:TnefLoader",
            "Outlook mail in winmail.dat (TNEF)",
            (".tnef",),
            ("application/ms-tnef", "application/vnd.ms-tnef"),
        ),
        "xml": LoaderRow(
            "loaders.xml:XmlLoader", "XML, JATS articles", (".xml", ".nxml", ".rss", ".atom", ".svg"),
            ("application/xml", "text/xml", "image/svg+xml"),
        ),
        "yaml": LoaderRow(
            "loaders.yaml:YamlLoader",
            "YAML",
            (".yaml", ".yml"),
            ("application/yaml", "application/x-yaml", "text/yaml"),
        ),
        "rst": LoaderRow("loaders.markup:RstLoader", "reStructuredText", (".rst",), ("text/x-rst",)),
        "org": LoaderRow("loaders.markup:OrgLoader", "Org", (".org",), ("text/org", "text/x-org")),
        "image": LoaderRow(
            "loaders.image:ImageLoader",
            "pictures of text (PNG, JPEG, TIFF, BMP, WebP, GIF; by tesseract)",
            (".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".webp", ".gif"),
            ("image/png", "image/jpeg", "image/tiff", "image/bmp", "image/webp", "image/gif"),
        ),
        "vtt": LoaderRow("loaders.subtitles:VttLoader", "subtitles (VTT)", (".vtt",), ("text/vtt",)),
        "srt": LoaderRow("loaders.subtitles:SrtLoader", "subtitles (SRT)", (".srt",), ("application/x-subrip",)),
        "code": LoaderRow(
            "loaders.code:CodeLoader",
            "source code",
            (
                ".py", ".pyi", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".java", ".kt", ".scala", ".go", ".rs",
                ".c", ".h", ".cpp", ".cc", ".hpp", ".cs", ".swift", ".rb", ".php", ".pl", ".lua", ".r", ".jl", ".dart",
                ".ex", ".hs", ".sol", ".sql", ".sh", ".bash", ".ps1", ".bat", ".css", ".scss", ".vue", ".svelte",
                ".graphql", ".proto", ".tf", ".toml", ".ini", ".cfg", ".conf", ".tex",
            ),
            ("text/x-python", "text/javascript", "application/javascript", "text/css", "application/toml"),
        ),
    }
)  # fmt: skip

DETECT = "detect"
"""Stands for no loader of its own: the file's content decides."""

FLOWISE_LOADERS: Mapping[str, str] = MappingProxyType(
    {
        "plainText": "text",
        "textFile": "text",
        "pdfFile": "pdf",
        "docxFile": "docx",
        "microsoftWord": DETECT,
        "microsoftExcel": DETECT,
        "microsoftPowerpoint": "pptx",
        "epubFile": "epub",
        "csvFile": "csv",
        "jsonFile": "json",
        "jsonlinesFile": "jsonl",
        "fileLoader": DETECT,
        "unstructuredFileLoader": DETECT,
        "folderFiles": DETECT,
    }
)
"""Flowise's component names; those that take several kinds of file map to `DETECT`."""


def canonical(name: str | None) -> str:
    """The row of `LOADERS` (or `DETECT`) for one of our names, a Flowise name or none at all.

    Raises `LoaderError(BAD_OPTION)` that lists the known names for any other.
    """
    if not name or name == DETECT:
        return DETECT
    found = FLOWISE_LOADERS.get(name, name)
    if found != DETECT and found not in LOADERS:
        known = ", ".join(sorted({*LOADERS, *FLOWISE_LOADERS}))
        raise LoaderError(Failure.BAD_OPTION, f"There is no loader named {name!r}. Known are: {known}.")
    return found


def loader(name: str) -> Loader:
    """The loader of the row `name` of `LOADERS`, imported on use."""
    made = resolve_name(LOADERS[name].target)()
    if not isinstance(made, Loader):
        raise TypeError(f"{LOADERS[name].target} is not a Loader")
    return made


def readable() -> str:
    """The formats that can be read, as words for messages."""
    return ", ".join(row.label for row in LOADERS.values())
