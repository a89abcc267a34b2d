import io

import pytest
from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from service.errors import BadRequest
from service.http.forms import fields_of, files_of, is_file, media_type


def file(name: str | None, content: bytes = b"") -> UploadFile:
    return UploadFile(io.BytesIO(content), size=len(content), filename=name)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Multipart/Form-Data; boundary=B", "multipart/form-data"),
        (b" APPLICATION/JSON ;charset=utf-8", "application/json"),
        (None, ""),
    ],
)
def test_the_type_of_a_body_is_the_same_in_whatever_case(header: bytes | None, expected: str) -> None:
    headers = [] if header is None else [(b"content-type", header)]
    assert media_type(Request({"type": "http", "headers": headers})) == expected


def test_what_a_browser_sends_where_no_file_was_chosen_is_none() -> None:
    chosen, unnamed, blank = file("a.txt", b"x"), file("", b"x"), file("empty.txt")
    form = FormData([("files", file("")), ("files", chosen), ("other", file("")), ("q", "?"), ("files[]", unnamed)])
    assert files_of(form) == [chosen, unnamed]
    assert fields_of(form) == {"q": "?"}
    assert not is_file(form["other"])
    assert is_file(blank)


def test_a_file_in_another_part_is_refused_by_its_name() -> None:
    with pytest.raises(BadRequest, match="document: files must come in parts named 'files'"):
        files_of(FormData([("document", file("a.txt", b"x"))]))
