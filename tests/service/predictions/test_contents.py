import pytest

from service.predictions.contents import UnfitName, document_type


@pytest.mark.parametrize(
    ("name", "content", "mime"),
    [
        ("notes.md", b"# About PDF\n\nA file begins with `%PDF-1.7`.\n", "text/markdown"),
        ("a.pdf", b"\r\n%PDF-1.7\n", "application/pdf"),
        ("a.pdf", b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.7\n", "application/pdf"),
    ],
)
def test_a_pdf_is_told_by_its_beginning(name: str, content: bytes, mime: str) -> None:
    assert document_type("uploads.0", name, content) == mime


def test_a_pdf_under_the_name_of_a_text_is_refused() -> None:
    with pytest.raises(UnfitName):
        document_type("uploads.0", "a.md", b"%PDF-1.7\n")
