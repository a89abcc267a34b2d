"""The splitter that is taken when none is named."""

from collections.abc import Iterable

from loaders.splitters.base import Span, Splitter
from loaders.splitters.cutting import cut
from loaders.splitters.structure import Structure


class DefaultSplitter(Splitter):
    """Goes by what the document is: Markdown by its sections, other text by paragraphs and sentences.

    Sections (from one heading to the next) that are small are joined with their neighbours up to the size; larger ones
    are cut like text. A heading is never parted from the text below it, a table that does not fit is cut between its
    rows and every piece begins with its header. Ends of sentences are known for Latin, CJK and other scripts.
    Sizes are in characters; chunks of one section overlap by up to `chunkOverlap`, sections and tables do not.

    Without a size, chunks are larger than those of the other splitters: most passages, abstracts and small tables stay
    whole, which the keyword half of a search gains from more than the vectors lose (ADR 0034).
    """

    chunk_size = 2000

    def spans(self, text: str, structure: Structure | None) -> Iterable[Span]:
        """The pieces of `text`."""
        if structure is None:
            yield from cut(text, 0, len(text), self.size, self.overlap, None)
            return
        for start, end in self.groups(text, structure):
            yield from cut(text, start, end, self.size, self.overlap, structure)

    def groups(self, text: str, structure: Structure) -> Iterable[tuple[int, int]]:
        """Neighbouring sections that fit into one chunk together, or single ones that are larger."""
        ends = [section.start for section in structure.sections[1:]] + [len(text)]
        group: tuple[int, int] | None = None
        open_heading = False  # the group ends in a heading whose text is in the next section
        for section, end in zip(structure.sections, ends, strict=True):
            if group is None:
                group = (section.start, end)
            elif open_heading or (not self.parts(section.level) and len(text[group[0] : end].strip()) <= self.size):
                group = (group[0], end)
            else:
                yield group
                group = (section.start, end)
            open_heading = section.level > 0 and not text[section.body : end].strip()
        if group is not None:
            yield group

    def parts(self, level: int) -> bool:
        """Whether a heading of this level always begins a new chunk."""
        return False
