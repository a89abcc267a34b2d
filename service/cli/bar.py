"""Progress bars on stderr; on something that is no terminal they draw nothing."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from service.cli.output import console, plain

if TYPE_CHECKING:
    from service.cli.uploads import Progress

Item = TypeVar("Item")


def draw(progress: "Progress", finished: Callable[[], bool]) -> None:
    """Draw chunks done, rate and time left until `finished`."""
    stream = console(remarks=True)
    if not stream.is_terminal:
        return  # rich would leave an empty line there
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.fields[stage]}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("chunks"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=stream,
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None, stage=progress.title + progress.stage, rate="")
        begun = time.monotonic()
        while not finished():
            done, total = sum(progress.done.copy().values()), sum(progress.total.copy().values())
            seconds = time.monotonic() - begun
            rate = f"{done / seconds:.0f}/s" if done and seconds > 0 else ""
            stage = f"{progress.title}{progress.stage}, {progress.sent} of {progress.files} files done"
            bar.update(task, completed=done, total=total or None, stage=stage, rate=rate)
            time.sleep(0.1)


def counted(items: Sequence[Item], stage: str, *, show: bool) -> Iterator[Item]:
    """The items in turn; `show` draws how many have been taken, and that `stage` is what is done to them."""
    stream = console(remarks=True) if show else None
    if stream is None or not stream.is_terminal:
        yield from items
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=stream, transient=True) as bar:
        yield from bar.track(items, description=plain(stage))
