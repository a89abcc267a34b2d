"""The progress bar of uploads, on stderr."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from service.cli.output import console

if TYPE_CHECKING:
    from service.cli.uploads import Progress


def draw(progress: "Progress", finished: Callable[[], bool]) -> None:
    """Draw chunks done, rate and time left until `finished`; on something that is no terminal, draw nothing."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.fields[stage]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("chunks"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console(remarks=True),
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None, stage=progress.stage, rate="")
        begun = time.monotonic()
        while not finished():
            done, total = sum(progress.done.copy().values()), sum(progress.total.copy().values())
            seconds = time.monotonic() - begun
            rate = f"{done / seconds:.0f}/s" if done and seconds > 0 else ""
            stage = f"{progress.stage}, {progress.sent} of {progress.files} files done"
            bar.update(task, completed=done, total=total or None, stage=stage, rate=rate)
            time.sleep(0.1)
