"""The loaders: a row a component, with the fields of the contract (b.4)."""

from service.nodes.types import Anchor, Category, Field, FieldType, Node

SPLITTER = Anchor("textSplitter", "Text Splitter", "TextSplitter", optional=True)

METADATA = Field(
    "metadata",
    "Additional Metadata",
    FieldType.JSON,
    optional=True,
    description="An object whose values every chunk gets; in loaders of JSON, a text such as `/author` is a pointer to"
    " the value in the file, or in the record that the chunk is of",
)
OMIT = Field(
    "omitMetadataKeys",
    "Omit Metadata Keys",
    optional=True,
    rows=4,
    description="Metadata that chunks do not get, by name, separated by commas; `*`: none but the additional ones",
)

PER_PAGE = {"perPage": "One document per page", "perFile": "One document per file"}
PER_CHAPTER = {"perChapter": "One document per chapter", "perFile": "One document per file"}
LINKS = {"webCrawl": "Follow the page's links", "scrapeXMLSitemap": "Take the pages of a sitemap"}
METHODS = {"GET": "GET", "POST": "POST"}


def loader(
    name: str,
    label: str,
    description: str,
    *fields: Field,
    version: float = 1,
    credentials: tuple[str, ...] = (),
    connector: bool = False,
) -> Node:
    """A loader that takes a splitter, additional metadata and metadata to omit besides its own fields."""
    return Node(
        name,
        label,
        Category.LOADERS,
        description,
        (*fields, METADATA, OMIT),
        (SPLITTER,),
        version,
        ("Document",),
        credentials,
        connector=connector,
    )


def file(name: str, label: str, suffixes: str) -> Field:
    """A field for one or more files: data URIs, or a JSON list of them."""
    return Field(name, label, FieldType.FILE, suffixes=suffixes)


def usage(name: str = "usage", label: str = "Usage", *, optional: bool = True) -> Field:
    """Whether a PDF becomes a document a page, or one in all."""
    return Field(name, label, FieldType.OPTIONS, optional=optional, default="perPage", choices=PER_PAGE)


def switch(name: str, label: str, description: str = "") -> Field:
    """A switch that is off."""
    return Field(name, label, FieldType.BOOLEAN, optional=True, description=description)


LEGACY = switch("legacyBuild", "Use Legacy Build", "Accepted; there is one reader of PDF here")

SCRAPER = (
    Field("url", "URL", description="Where to begin"),
    Field(
        "relativeLinksMethod",
        "Get Relative Links Method",
        FieldType.OPTIONS,
        optional=True,
        choices=LINKS,
        description="How further pages are found; empty: the page alone",
    ),
    Field("limit", "Get Relative Links Limit", FieldType.NUMBER, optional=True, default=10, description="Most pages"),
)
WAITS = ("load", "domcontentloaded", "networkidle", "networkidle0", "networkidle2", "commit")
RENDERED = (
    Field(
        "waitUntilGoToOption",
        "Wait Until",
        FieldType.OPTIONS,
        optional=True,
        description="Accepted; pages are read as they are served, scripts are not run",
        choices={name: name for name in WAITS},
    ),
    Field("waitForSelector", "Wait for selector to load", optional=True, description="Accepted; scripts are not run"),
    Field("cssSelector", "CSS Selector", optional=True, description="Take only what this selects"),
)  # fmt: skip
TEXTS = (
    ".txt, .html, .aspx, .asp, .cpp, .c, .cs, .css, .go, .h, .java, .js, .less, .ts, .php, .proto, .python, .py, .rst,"
    " .ruby, .rb, .rs, .scala, .sc, .scss, .sol, .sql, .swift, .markdown, .md, .tex, .ltx, .vb, .xml"
)
S3 = (
    Field("bucketName", "Bucket"),
    Field("region", "Region", FieldType.ASYNC_OPTIONS, default="us-east-1"),
    Field("serverUrl", "Server URL", optional=True, description="Of a service that speaks S3; empty: AWS"),
)

ROWS = (
    loader("plainText", "Plain Text", "A text that is typed in", Field("text", "Text", rows=4), version=2),
    loader("textFile", "Text File", "Text, Markdown and source code", file("txtFile", "Txt File", TEXTS), version=3),
    loader(
        "pdfFile",
        "Pdf File",
        "PDF files",
        file("pdfFile", "Pdf File", ".pdf"),
        usage(optional=False),
        LEGACY,
        version=2,
    ),
    loader("docxFile", "Docx File", "Word files (DOCX)", file("docxFile", "Docx File", ".docx"), version=2),
    loader("microsoftWord", "Microsoft Word", "Word files, old ones too", file("docxFile", "Word File", ".docx, .doc")),
    loader("microsoftExcel", "Microsoft Excel", "Excel sheets", file("excelFile", "Excel File", ".xlsx, .xls, .xlsm")),
    loader(
        "microsoftPowerpoint", "Microsoft PowerPoint", "Slides", file("powerpointFile", "PowerPoint File", ".pptx")
    ),
    loader(
        "epubFile",
        "Epub File",
        "E-books",
        file("epubFile", "Epub File", ".epub"),
        Field("usage", "Usage", FieldType.OPTIONS, default="perChapter", choices=PER_CHAPTER),
    ),
    loader(
        "csvFile",
        "Csv File",
        "Tables as CSV",
        file("csvFile", "Csv File", ".csv"),
        Field("columnName", "Single Column Extraction", optional=True, description="Read only this column, a row each"),
        version=3,
    ),
    loader(
        "jsonFile",
        "Json File",
        "JSON files",
        file("jsonFile", "Json File", ".json"),
        switch("separateByObject", "Separate by JSON Object (JSON Array)", "A document for each element of a list"),
        Field("pointersName", "Pointers Extraction", optional=True, description="Read only these, separated by commas"),
        version=3.1,
    ),
    loader(
        "jsonlinesFile",
        "Json Lines File",
        "JSON, a record a line",
        file("jsonlinesFile", "Jsonlines File", ".jsonl"),
        Field("pointerName", "Pointer Extraction", description="Read only this of each line; empty: all of it"),
        version=3,
    ),
    loader(
        "fileLoader",
        "File Loader",
        "Any file that can be read, by its content",
        file("file", "File", "*"),
        usage(label="Pdf Usage"),
        LEGACY,
        Field("pointerName", "JSONL Pointer Extraction", optional=True, description="Of JSON Lines: read only this"),
        version=2,
    ),
    loader(
        "unstructuredFileLoader",
        "Unstructured File Loader",
        "Any file that can be read, by its content; nothing is sent to another server",
        file("fileObject", "File", "*"),
        Field("unstructuredAPIUrl", "Unstructured API URL", optional=True, description="Accepted and not called"),
        Field(
            "strategy",
            "Strategy",
            FieldType.OPTIONS,
            optional=True,
            default="auto",
            choices={"auto": "Auto", "fast": "Fast", "hi_res": "Hi-Res", "ocr_only": "OCR Only"},
            description="Accepted; text is read as it stands, and pictures and scanned pages by OCR",
        ),
        Field("encoding", "Encoding", optional=True, default="utf-8", description="Accepted; it is found by itself"),
        Field("ocrLanguages", "OCR Languages", FieldType.MULTI_OPTIONS, optional=True),
        version=4,
    ),
    loader(
        "folderFiles",
        "Folder with Files",
        "The files of a folder of the server",
        Field("folderPath", "Folder Path"),
        switch("recursive", "Recursive", "The folders in it too"),
        usage("pdfUsage", "Pdf Usage"),
        Field("pointerName", "JSONL Pointer Extraction", optional=True, description="Of JSON Lines: read only this"),
        version=4,
        connector=True,
    ),
    loader(
        "cheerioWebScraper",
        "Cheerio Web Scraper",
        "Web pages",
        *SCRAPER,
        Field("selector", "Selector (CSS)", optional=True, description="Take only what this selects"),
        version=2,
        connector=True,
    ),
    loader(
        "playwrightWebScraper", "Playwright Web Scraper", "Web pages", *SCRAPER, *RENDERED, version=2, connector=True
    ),
    loader(
        "puppeteerWebScraper", "Puppeteer Web Scraper", "Web pages", *SCRAPER, *RENDERED, version=2, connector=True
    ),
    loader(
        "gitbook",
        "GitBook",
        "The pages of a GitBook",
        Field("webPath", "Web Path"),
        switch("shouldLoadAllPaths", "Should Load All Paths", "Every page of its sitemap"),
        version=2,
        connector=True,
    ),
    loader(
        "apiLoader",
        "API Loader",
        "What an HTTP API answers",
        Field("method", "Method", FieldType.OPTIONS, choices=METHODS),
        Field("url", "URL"),
        Field("headers", "Headers", FieldType.JSON, optional=True),
        Field("caFile", "SSL Certificate", FieldType.FILE, optional=True, suffixes=".pem"),
        Field("body", "Body", FieldType.JSON, optional=True),
        version=2.1,
        connector=True,
    ),
    loader(
        "github",
        "Github",
        "The files of a repository",
        Field("repoLink", "Repo Link"),
        Field("branch", "Branch", default="main"),
        switch("recursive", "Recursive", "The folders in it too"),
        Field("maxConcurrency", "Max Concurrency", FieldType.NUMBER, optional=True),
        Field("githubBaseUrl", "Github Base URL", optional=True, description="Of a server of one's own"),
        Field("githubInstanceApi", "Github Instance API", optional=True, description="Of a server of one's own"),
        Field("ignorePath", "Ignore Paths", optional=True, description="A JSON list of patterns"),
        Field("maxRetries", "Max Retries", FieldType.NUMBER, optional=True),
        version=3,
        credentials=("githubApi",),
        connector=True,
    ),
    loader(
        "s3Directory",
        "S3 Directory",
        "The files of a bucket",
        *S3,
        Field("prefix", "Prefix", optional=True, description="Only keys that begin with this"),
        usage("pdfUsage", "Pdf Usage"),
        version=4,
        credentials=("awsApi",),
        connector=True,
    ),
    loader(
        "S3",
        "S3",
        "One file of a bucket",
        *S3,
        Field("keyName", "Object Key"),
        version=5,
        credentials=("awsApi",),
        connector=True,
    ),
)  # fmt: skip

REFUSED = {
    "documentStore": "It reads another document store. Copy that one with its archive, or link both to the chatflow.",
}
"""What to do in place of loaders of chatflows that document stores have not."""
