"""Equations of Office documents (OMML, ECMA-376 part 1, 22.1) on a line: `x^2`, `(a+b)/c`, `√n`."""

from typing import Any

NAMESPACE = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"

_BEFORE = {"num": "", "den": "/", "sup": "^", "sub": "_", "lim": "_"}
_BETWEEN = {"m": "; ", "mr": ", ", "eqArr": "; "}


def line(element: Any) -> str:
    """The text of an equation, or of a part of one, with the signs that its structure stands for."""
    if not isinstance(element.tag, str):
        return ""
    name = element.tag.rpartition("}")[2]
    if name == "t":
        return element.text or ""
    if name.endswith("Pr"):
        return ""
    if name == "rad":
        return f"{_inside(element, 'deg')}√{_grouped(_inside(element, 'e'))}"
    if name == "d":
        inner = _sign(element, "sepChr", "|").join(map(line, element.iterfind(NAMESPACE + "e")))
        return _sign(element, "begChr", "(") + inner + _sign(element, "endChr", ")")
    text = _BETWEEN.get(name, "").join(filter(None, map(line, element)))
    if name == "nary":
        return _sign(element, "chr", "∫") + text
    if name == "fName":
        return text + " "
    return _BEFORE[name] + _grouped(text) if name in _BEFORE and text else text


def _inside(element: Any, name: str) -> str:
    return "".join(map(line, element.iterfind(NAMESPACE + name)))


def _grouped(text: str) -> str:
    """`text` in parentheses, unless it is empty, or one number or word."""
    return f"({text})" if text and not text.isalnum() else text


def _sign(element: Any, name: str, usual: str) -> str:
    """The sign that the element's properties name; the usual one where they do not."""
    kind = element.tag.rpartition("}")[2]
    found = element.find(f"{NAMESPACE}{kind}Pr/{NAMESPACE}{name}")
    return usual if found is None else str(found.get(NAMESPACE + "val", ""))
