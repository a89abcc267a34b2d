"""Who a query is made for, and who may say so (ADR 0033).

Documents carry principals: texts such as `user:anna` or `group:hr` that the integrator chooses. A query carries a
`Viewer`: the principals of the end user whom it is made for. Every surface makes one by `viewer_of` and hands it down
to the search; what is given none searches for `ANYBODY`, who finds only what everybody may find.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from service.document_stores.types import Viewer as Viewer
from service.errors import Forbidden, Unprocessable
from service.http.access import FULL, Caller

HEADER = "X-Ragstone-Principals"
"""Carries the end user's principals, separated by commas, percent-encoded where they hold commas or no ASCII."""

MOST_OF_DOCUMENT = 256
"""Principals of a document."""
MOST_OF_VIEWER = 1_000
"""Principals that a query is made for."""
LONGEST = 256
"""Characters of a principal."""

READS_EVERYTHING = frozenset({"documentStores:view", "documentStores:update"})
"""Who has one of these reads every chunk of the workspace as a list, or may say who finds it: only they are believed
when they say whom they ask for, as saying so can show them nothing new."""


ANYBODY = Viewer()
"""Somebody unknown: finds what is not restricted."""

EVERYTHING = Viewer(everything=True)
"""For administration: an operator, or a key that may read every chunk anyway, who names nobody."""


class NotBelieved(Forbidden):
    """This caller may not say whom it asks for."""

    code = "principals_not_believed"


def viewer_of(caller: Caller, claimed: Iterable[str] | None, *, administers: bool = False) -> Viewer:
    """Whom a call is for. `claimed`: the principals in its body or header, None without any; `administers`: the surface
    is one for administration, which needs not name anybody.

    Raises `NotBelieved` for principals that this caller may not claim.
    """
    if caller.principals is not None:
        asked = caller.principals if claimed is None else frozenset(claimed)
        if not asked <= caller.principals:
            raise NotBelieved("principals: this key is bound to others; leave them out, or name some of its own")
        return Viewer(asked)
    if claimed is None:
        return EVERYTHING if administers and believed(caller) else ANYBODY
    if not believed(caller):
        raise NotBelieved(f"principals: only a key with the permission {_ENOUGH} may say for whom it asks")
    return Viewer(frozenset(claimed))


_ENOUGH = " or ".join(sorted(READS_EVERYTHING))


def believed(caller: Caller) -> bool:
    """Whether this caller may read every document, and so may say whom it asks for. To others no answer shows what not
    everybody may find."""
    return caller.principals is None and (FULL in caller.scopes or not READS_EVERYTHING.isdisjoint(caller.scopes))


def principals(value: object, most: int = MOST_OF_VIEWER, field: str = "principals") -> tuple[str, ...] | None:
    """Principals from outside, sorted, each once; None for null. Raises `Unprocessable` naming the field."""
    if value is None:
        return None
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise Unprocessable(f'{field}: must be a list of texts such as ["user:anna", "group:hr"], or null')
    if len(value) > most:
        raise Unprocessable(f"{field}: at most {most} of them, not {len(value)}")
    return tuple(sorted({_principal(item, f"{field}[{place}]") for place, item in enumerate(value)}))


def _principal(value: object, field: str) -> str:
    if not isinstance(value, str) or not value or value != value.strip():
        raise Unprocessable(f"{field}: must be a text that is not empty and has no space around it")
    if len(value) > LONGEST:
        raise Unprocessable(f"{field}: has {len(value)} characters, the limit is {LONGEST}")
    if not value.isprintable():  # neither controls nor halves of surrogate pairs
        raise Unprocessable(f"{field}: holds a character that cannot be seen")
    if value == "*":
        raise Unprocessable(f"{field}: '*' is nobody; for everybody, give null in place of a list")
    return value


def of_header(value: str | None) -> tuple[str, ...] | None:
    """The principals in `HEADER`; None without it. An empty one names none. Raises `Unprocessable`."""
    if value is None:
        return None
    parts = [unquote(part.strip(), errors="replace") for part in value.split(",")]
    return principals([part for part in parts if part], field=HEADER)


def told(headers: Sequence[str]) -> str | None:
    """What the one `HEADER` of a call says; None without it. Raises `Unprocessable` for several: a gateway that adds
    its own to one which its caller has sent must not be believed by chance."""
    if len(headers) > 1:
        raise Unprocessable(f"{HEADER}: sent more than once")
    return headers[0] if headers else None


def claimed(field: object, header: str | None) -> tuple[str, ...] | None:
    """What a call says of its end user, in its body or in `HEADER`. Raises `Unprocessable` when both say something."""
    named, said = principals(field), of_header(header)
    if named is not None and said is not None and named != said:
        raise Unprocessable(f"principals: the body and the header {HEADER} name different ones; give one of them")
    return named if named is not None else said


def restricting(caller: Caller, value: object) -> tuple[str, ...] | None:
    """The principals that a call gives to documents; None: it says nothing of them.

    Raises `Unprocessable`, and `NotBelieved` for a caller who may not read every document: giving one to others would
    show it to them.
    """
    named = principals(value, MOST_OF_DOCUMENT)
    if named is not None and not believed(caller):
        raise NotBelieved(f"principals: only a key with the permission {_ENOUGH} may give documents to somebody")
    return named
