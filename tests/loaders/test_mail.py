"""What the loaders of mails do beyond their samples."""

import struct
from email.message import EmailMessage
from pathlib import Path

import pytest
from langchain_core.documents import Document

from loaders import loader, mail
from loaders.base import Failure, LoaderError, Source
from tests.loaders.conftest import Put
from tests.loaders.office_files import PROPERTIES, msg, ole, tnef

SAMPLES = Path(__file__).parent.parent / "samples"
PACKED_RTF = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
"""The example of [MS-OXRTFCP] 4.1.1: "hello world"."""


def load(name: str, source: Source) -> list[Document]:
    return list(loader(name).load(source, {}))


def letter(subject: str = "Hi", text: str = "Body", *, date: str = "Mon, 3 Jun 2024 07:15:00 +0200") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"], made["Date"] = "a@x.example", "b@x.example", subject, date
    made.set_content(text)
    return made


def test_a_mail_of_html_only_is_markdown(put: Put) -> None:
    made = letter()
    made.set_content("<h2>Prices</h2><table><tr><td>Tea</td><td>2</td></tr></table>", subtype="html")
    (found,) = load("eml", put(made.as_bytes(), "a.eml"))
    assert found.page_content.endswith("Subject: Hi\n\n## Prices\n\n| Tea | 2 |\n| --- | --- |")
    assert found.metadata["format"] == "markdown"


def test_a_plain_body_that_only_points_to_the_html_one_is_left(put: Put) -> None:
    made = letter(text="Open in a browser.")
    made.add_alternative(f"<p>{'The real words. ' * 20}</p>", subtype="html")
    (found,) = load("eml", put(made.as_bytes(), "a.eml"))
    assert "The real words." in found.page_content
    assert "browser" not in found.page_content


TABLE = "<table><tr><th>Item<th>Price<tr><td>Tea<td>4.50<tr><td>Cup<td>7</table>"
ROWS = "| Item | Price |\n| --- | --- |\n| Tea | 4.50 |\n| Cup | 7 |"


@pytest.mark.parametrize(
    ("plain", "page", "body"),
    [
        ("Your order: Item Price Tea 4.50 Cup 7", f"<p>Your order:</p>{TABLE}", f"Your order:\n\n{ROWS}"),
        ("The full words of a mail.", "<p>The <b>full</b> words of a mail.", "The full words of a mail."),
        ("See the page.", "<p>See the page. Ask at the counter.", "See the page. Ask at the counter."),
        (
            "# The body in one part, a footer in the other.", "<p>Sent to all members of the choir.",
            "\\# The body in one part, a footer in the other.\n\nSent to all members of the choir.",
        ),
    ],
)  # fmt: skip
def test_a_body_is_the_one_that_says_more_or_both(put: Put, plain: str, page: str, body: str) -> None:
    made = letter(text=plain)
    made.add_alternative(page, subtype="html")
    (found,) = load("eml", put(made.as_bytes(), "a.eml"))
    assert found.page_content.partition("\n\n")[2] == body


def test_pictures_within_the_body_are_no_attachments(put: Put) -> None:
    made = letter()
    made.add_alternative("<p>x <img src='cid:1'></p>", subtype="html")
    made.get_payload()[1].add_related(b"\x89PNG", "image", "png", cid="<1>", filename="logo.png")  # type: ignore[index,union-attr]
    (found,) = load("eml", put(made.as_bytes(), "a.eml"))
    assert "logo.png" not in found.page_content


def test_an_attached_document_keeps_its_own_provenance(put: Put) -> None:
    made = letter()
    pdf = (SAMPLES / "pdf" / "tram.pdf").read_bytes()
    made.add_attachment(pdf, maintype="application", subtype="octet-stream", filename="../../tram.pdf")
    docx = (SAMPLES / "docx" / "garden.docx").read_bytes()
    made.add_attachment(docx, maintype="application", subtype="octet-stream", filename="garden.docx")
    first, *rest = load("eml", put(made.as_bytes(), "a.eml"))
    assert "Attachments: tram.pdf, garden.docx" in first.page_content
    assert rest[0].metadata["page"] == 1
    assert {found.metadata["attachment"] for found in rest} == {"tram.pdf", "garden.docx"}
    assert {found.metadata["source"] for found in [first, *rest]} == {"a.eml"}


def test_mails_within_mails_are_read_to_a_depth(put: Put) -> None:
    inner = letter("level 9", "deepest")
    for level in range(8, -1, -1):
        outer = letter(f"level {level}", f"words {level}")
        outer.add_attachment(inner)
        inner = outer
    found = load("eml", put(inner.as_bytes(), "a.eml"))
    assert len(found) == mail.DEEPEST + 1
    assert f"level {mail.DEEPEST + 1} (not read: too_large)" in found[-1].page_content


def test_only_so_many_attachments_are_read(put: Put) -> None:
    made = letter()
    for number in range(mail.MOST_ATTACHMENTS + 1):
        made.add_attachment(f"text {number}", filename=f"{number}.txt")
    found = load("eml", put(made.as_bytes(), "a.eml"))
    assert len(found) == mail.MOST_ATTACHMENTS + 1
    assert f"{mail.MOST_ATTACHMENTS}.txt (not read: too_large)" in found[0].page_content


def test_headers_in_any_make_and_charset_are_read(put: Put) -> None:
    data = (
        b"From: =?utf-8?q?J=C3=B6rg?= <j@x.example>\nSubject: =?utf-8?b?VMOkZ2xpY2g=?=\n bread\nDate: nonsense\n"
        b"Content-Type: text/plain; charset=no-such\n\nBr\xf6tchen und K\xe4se\n"
    )
    (found,) = load("eml", put(data, "a.eml"))
    assert found.metadata["title"] == "Täglich bread"
    assert found.page_content.startswith("From: Jörg <j@x.example>\nDate: nonsense\n")
    assert found.page_content.endswith("Brötchen und Käse")


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("utf-8", "utf-8"), ("iso-8859-1", "latin-1"), ("us-ascii", "utf-8"), ("us-ascii", "cp1252"), ("koi8-r", "utf-8")],
)
def test_headers_in_raw_bytes_are_read(put: Put, charset: str, encoding: str) -> None:
    head = (
        "From: Jörg <j@x.example>\nSubject: Grüße =?utf-8?b?VMOkZ2xpY2g=?=\n =?utf-8?q?_=C3=BC?=\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="b"\n\n--b\n'
        f"Content-Type: text/plain; charset={charset}\n\nWords of the mail.\n--b\n"
        'Content-Type: text/plain\nContent-Disposition: attachment; filename="Übung.txt"\n\nMore.\n--b--\n'
    )
    first, second = load("eml", put(head.encode(encoding), "a.eml"))
    assert first.metadata["title"] == "Grüße Täglich ü"
    assert first.page_content.startswith("From: Jörg <j@x.example>\n")
    assert second.metadata["attachment"] == "Übung.txt"


def mixed(*kinds: str, start: str = "multipart/mixed; boundary=b") -> bytes:
    """A mail of parts without names, each with a line of text."""
    parts = "".join(f"--b\nContent-Type: {kind}\n\nPart {number}\n" for number, kind in enumerate(kinds))
    return f"From: a@x.example\nSubject: Hi\nContent-Type: {start}\n\n{parts}--b--\n".encode()


def test_parts_without_a_name_are_attachments(put: Put) -> None:
    data = mixed("text/plain", "text/calendar", "text/markdown", "audio/ogg", "text/x-amp-html")
    first, *rest = load("eml", put(data.replace(b"Part 3", b"\0\1\2\3"), "a.eml"))
    told = "Attachments: attachment-1, attachment-2, attachment-3 (not read: unsupported_format)"
    assert first.page_content == f"From: a@x.example\nSubject: Hi\n{told}\n\nPart 0"
    assert [(found.page_content, found.metadata["attachment"], found.metadata["format"]) for found in rest] == [
        ("Part 1", "attachment-1", "text"),
        ("Part 2", "attachment-2", "markdown"),
    ]


def test_a_mail_that_is_one_document_is_read(put: Put) -> None:
    made = letter()
    made.set_content((SAMPLES / "pdf" / "tram.pdf").read_bytes(), maintype="application", subtype="pdf")
    first, *rest = load("eml", put(made.as_bytes(), "a.eml"))
    assert "Attachments: attachment-1" in first.page_content
    assert {found.metadata["attachment"] for found in rest} == {"attachment-1"}


def test_parts_without_a_boundary_are_text(put: Put) -> None:
    (found,) = load("eml", put(mixed("text/plain", start="multipart/mixed"), "a.eml"))
    assert "Part 0" in found.page_content


def test_text_that_is_no_mail_is_corrupt(put: Put) -> None:
    with pytest.raises(LoaderError) as caught:
        load("eml", put("Just some words\nand more.", "a.eml"))
    assert caught.value.failure is Failure.CORRUPT


def test_an_outlook_mail_with_a_compressed_body(put: Put) -> None:
    made = ole(msg({"0037": "Greeting", "1009": PACKED_RTF}))
    (found,) = load("msg", put(made, "a.msg"))
    assert found.page_content == "Subject: Greeting\n\nhello world"


def test_an_outlook_mail_in_its_code_page(put: Put) -> None:
    streams = msg({"0037": "x"})
    streams[PROPERTIES] += b"\x03\x00\xde\x3f" + bytes(4) + (1251).to_bytes(8, "little")
    streams["__substg1.0_1000001E"] = "Привет".encode("cp1251")
    (found,) = load("msg", put(ole(streams), "a.msg"))
    assert found.page_content.endswith("Привет")


def test_an_attachment_that_needs_a_password_does_not_fail_the_mail(put: Put) -> None:
    made = ole(msg({"0037": "x", "1000": "words"}, {"plan.docx": ole({"EncryptedPackage": b"x" * 5000})}))
    (found,) = load("msg", put(made, "a.msg"))
    assert "plan.docx (not read: encrypted)" in found.page_content


@pytest.mark.parametrize(
    ("shown", "properties", "told"),
    [
        ("cid:logo@1", b"", False),
        ("cid:other", b"", True),
        ("", struct.pack("<HHIQ", 0x0B, 0x7FFE, 6, 1), False),
        ("", struct.pack("<HHIQ", 0x03, 0x3714, 6, 4), False),
        ("", struct.pack("<HHIQ", 0x0B, 0x7FFE, 6, 0), True),
    ],
)
def test_pictures_within_the_body_of_an_outlook_mail_are_no_attachments(
    put: Put, shown: str, properties: bytes, told: bool
) -> None:
    streams = msg({"0037": "x", "1000": "words", "1013": f"<p>words <img src='{shown}'></p>".encode()},
                  {"logo.png": b"\x89PNG\r\n\x1a\n", "plan.txt": b"The plan."})  # fmt: skip
    for number in range(2):
        folder = f"__attach_version1.0_#{number:08X}/"
        streams[folder + "__substg1.0_3712001F"] = "logo@1".encode("utf-16-le")
        streams[folder + PROPERTIES] += properties
    first, *rest = load("msg", put(ole(streams), "a.msg"))
    assert ("logo.png" in first.page_content) is told
    assert [found.metadata["attachment"] for found in rest] == ["plan.txt"]


def test_a_container_without_a_mail_is_corrupt(put: Put) -> None:
    with pytest.raises(LoaderError) as caught:
        load("msg", put(ole({"Workbook": b"x"}), "a.msg"))
    assert caught.value.failure is Failure.CORRUPT


def test_an_attached_text_is_read_in_the_charset_that_its_part_names(put: Put) -> None:
    made = letter()
    made.add_attachment("Паром №5".encode("cp1251"), "text", "plain", filename="a.txt", params={"charset": "cp1251"})
    _, attached = load("eml", put(made.as_bytes(), "a.eml"))
    assert attached.page_content == "Паром №5"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_mail_that_was_saved_in_utf_16_is_read(put: Put, encoding: str) -> None:
    text = (
        "From: a@x.example\nTo: b@x.example\nSubject: Grüße\nContent-Type: text/plain; charset=utf-8\n\nSchöne Äpfel.\n"
    )
    (found,) = load("eml", put(text.encode(encoding), "a.eml"))
    assert found.page_content == "From: a@x.example\nTo: b@x.example\nSubject: Grüße\n\nSchöne Äpfel."


PACKED = tnef({0x0037: "Packed", 0x1000: "Of Outlook."}, {0x3707: "rules.txt", 0x3701: b"Lock the gate."})


@pytest.mark.parametrize(("text", "body"), [("Body", "Body"), ("", "Of Outlook.")])
def test_what_outlook_packed_into_a_mail_is_attached_to_it(put: Put, text: str, body: str) -> None:
    made = letter(text=text)
    if not text:
        made.clear_content()
        made.make_mixed()
    made.add_attachment(PACKED, maintype="application", subtype="ms-tnef", filename="winmail.dat")
    first, second = load("eml", put(made.as_bytes(), "a.eml"))
    assert first.page_content.endswith(f"Subject: Hi\nAttachments: rules.txt\n\n{body}")
    assert (second.page_content, second.metadata["attachment"]) == ("Lock the gate.", "rules.txt")


def test_a_packed_mail_that_breaks_off_is_named_with_its_reason(put: Put) -> None:
    made = letter()
    made.add_attachment(PACKED[:-20], maintype="application", subtype="ms-tnef", filename="winmail.dat")
    (found,) = load("eml", put(made.as_bytes(), "a.eml"))
    assert "Attachments: winmail.dat (not read: corrupt)" in found.page_content


def test_a_mail_within_a_packed_one_is_read_and_old_attributes_are_enough(put: Put) -> None:
    inner = tnef({0x1000: "Deep."}, subject="Inner")
    assert load("tnef", put(inner, "winmail.dat"))[0].metadata["title"] == "Inner"
    packed = tnef({0x1000: "Top."}, {0x3001: "Inner mail", 0x370E: "x", 0x3701: bytes(16) + inner})
    found = load("tnef", put(packed, "winmail.dat"))
    assert [each.page_content.splitlines()[-1] for each in found] == ["Top.", "Deep."]
    assert found[1].metadata["attachment"] == "Inner mail"
