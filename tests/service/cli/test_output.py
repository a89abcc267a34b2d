"""What is printed: no text of the service makes the terminal do anything."""

import json

import pytest
from rich.text import Text

from service.cli.output import plain, print_json, print_table, print_text, say
from service.cli.run import run

EVIL = "a\x1b]0;title\x07\x1b[2J\x9b31m\x7f\u202eb\x00\r"
"""Sets a title, clears the screen, turns red, turns round, and hides the start of the line."""


def obeyed(text: str) -> list[str]:
    """What of it a terminal would obey, besides ends of lines and tabs."""
    return [sign for sign in text if (not sign.isprintable() and sign not in "\n\t")]


@pytest.mark.parametrize("cell", [EVIL, Text(EVIL, "red")], ids=["text", "coloured"])
def test_tables_print_no_control_characters(capsys: pytest.CaptureFixture[str], cell: object) -> None:
    print_table(("name",), [(cell,), ("[/] [bold",), (None,)])
    printed = capsys.readouterr().out
    assert obeyed(printed) == []
    assert "title" in printed
    assert "[/] [bold" in printed


def test_texts_and_remarks_print_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_text(EVIL)
    print_text("one\r\ntwo\tthree ä 日本 👍\n", end="")
    say(EVIL)
    printed = capsys.readouterr()
    assert obeyed(printed.out + printed.err) == []
    assert printed.out.endswith("one\ntwo\tthree ä 日本 👍\n")


def test_json_is_the_same_value_with_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({EVIL: [EVIL, "ä 日本"]})
    printed = capsys.readouterr().out
    assert obeyed(printed) == []
    assert json.loads(printed) == {EVIL: [EVIL, "ä 日本"]}
    assert "ä 日本" in printed


def test_a_text_keeps_its_length() -> None:
    assert len(plain(EVIL)) == len(EVIL)
    assert plain("Zeile\n\tzwei") == "Zeile\n\tzwei"


def test_messages_of_failures_are_printed_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", "run", f"{EVIL.strip()}.yaml".replace("\x00", "")]) != 0
    assert obeyed(capsys.readouterr().err) == []
