"""The splitters: a row a component, with the fields of the contract (b.4)."""

from service.nodes.types import Category, Field, FieldType, Node

SIZE = Field("chunkSize", "Chunk Size", FieldType.NUMBER, optional=True, default=1000, description="In characters")
OVERLAP = Field(
    "chunkOverlap",
    "Chunk Overlap",
    FieldType.NUMBER,
    optional=True,
    default=200,
    description="What neighbouring chunks share; 0: nothing",
)
HEADERS = {"disabled": "Disabled", **{f"h{level}": f"Headings of level {level}" for level in range(1, 7)}}
LANGUAGES = (
    "cpp", "go", "java", "js", "php", "proto", "python", "rst", "ruby", "rust", "scala", "swift", "markdown", "latex",
    "html", "sol", "ts", "csharp", "kotlin", "c", "lua", "haskell", "elixir", "powershell", "cobol",
)  # fmt: skip
ENCODINGS = ("gpt2", "r50k_base", "p50k_base", "p50k_edit", "cl100k_base", "o200k_base")


def splitter(name: str, label: str, description: str, *fields: Field, version: float = 1) -> Node:
    """A splitter with its sizes and fields of its own."""
    return Node(
        name,
        label,
        Category.SPLITTERS,
        description,
        (SIZE, OVERLAP, *fields),
        version=version,
        base_classes=(name[0].upper() + name[1:], "TextSplitter"),
    )


ROWS = (
    splitter(
        "recursiveCharacterTextSplitter",
        "Recursive Character Text Splitter",
        "Cuts at the first separator that occurs, then at the next",
        Field("separators", "Custom Separators", optional=True, rows=4, description="A JSON list of texts"),
        version=2,
    ),
    splitter(
        "characterTextSplitter",
        "Character Text Splitter",
        "Cuts at one separator",
        Field("separator", "Custom Separator", optional=True, description="Empty: a blank line"),
    ),
    splitter(
        "tokenTextSplitter",
        "Token Text Splitter",
        "Cuts into windows of tokens",
        Field(
            "encodingName",
            "Encoding Name",
            FieldType.OPTIONS,
            default="gpt2",
            choices={name: name for name in ENCODINGS},
            description="Accepted; tokens are estimated",
        ),
    ),
    splitter(
        "markdownTextSplitter",
        "Markdown Text Splitter",
        "Cuts by headings",
        Field(
            "splitByHeaders",
            "Split by Headers",
            FieldType.OPTIONS,
            optional=True,
            default="disabled",
            choices=HEADERS,
            description="Headings up to this level begin a new chunk",
        ),
        version=1.1,
    ),
    splitter("htmlToMarkdownTextSplitter", "HtmlToMarkdown Text Splitter", "Cuts pages by their headings"),
    splitter(
        "codeTextSplitter",
        "Code Text Splitter",
        "Cuts where definitions begin",
        Field("language", "Language", FieldType.OPTIONS, choices={name: name for name in LANGUAGES}),
    ),
)
