"""`ragstone eval sweep` and `eval apply`: settings tried over a dataset, and one of them set for good."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.evals import app
from service.cli.exits import EPILOG, UsageProblem
from service.cli.options import DataOption, JsonOption, KeyOption, RootOption, UrlOption
from service.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from service.cli.sweeps.applying import Application
    from service.cli.sweeps.running import Run
    from service.cli.sweeps.spec import Sweep
    from service.cli.sweeps.trials import Trial

FileArgument = Annotated[Path, typer.Argument(help="The sweep file, YAML.", metavar="SWEEP.yaml")]
YesOption = Annotated[bool, typer.Option("--yes", help="Make the changes; without, they are only shown.")]
HoldoutOption = Annotated[
    float | None,
    typer.Option(min=0, max=0.9, help="Share of questions that the choice is not made by.", show_default="the file's"),
]
SeedOption = Annotated[
    int | None,
    typer.Option(min=0, help="Of the random sample, and of the questions held back.", show_default="the file's"),
]


@app.command(epilog=EPILOG)
def sweep(
    file: FileArgument,
    apply: Annotated[
        str | None, typer.Option(help="Set these settings for good: a number of the table, or `chosen`.", metavar="N")
    ] = None,
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be tried, and do nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Run anew what was run before.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show all settings, not those on the front alone.")] = False,
    holdout: HoldoutOption = None,
    seed: SeedOption = None,
    csv: Annotated[Path | None, typer.Option(help="Write all settings as CSV.", metavar="FILE")] = None,
    root: RootOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try settings on a document store or a flow over a dataset, and say which are worth having: the Pareto front of
    quality, time and cost.

    What is tried is tried on copies, which are removed at the end. A sweep that was killed is taken up where it was by
    the next run of the same file.
    """
    from service.cli.suites.running import interruptible
    from service.cli.sweeps import running, telling
    from service.cli.sweeps.gold import refuse_ids

    if csv is not None and not csv.absolute().parent.is_dir():
        raise UsageProblem(f"{csv} cannot be written: there is no folder {csv.absolute().parent}")
    wish = _read(file, holdout, seed)
    if dry_run:
        _print_trials(wish, as_json=as_json)
        return
    with _begun(file, wish, root, data, url, key, show=not as_json) as run:
        if any(trial.index for trial in run.chosen.trials):
            refuse_ids(run.client, run.plan, run.prepared.dataset_id)
        run.say(running.estimate(run, running.question_count(run)))
        ordered = [trial for batch in running.batches(run) for trial in batch]
        with interruptible(), running.tidied(run):
            evaluations = running.evaluated(run, again=again)
            front = running.front(run, evaluations)
            told = telling.as_json(ordered, front, evaluations)
            if not as_json:
                telling.print_front(ordered, front, everything=everything)
            if csv is not None:
                telling.write_csv(csv, ordered, front)
            if apply is not None:
                told["applied"] = _apply(run, apply, telling.chosen_of(ordered, front), yes=yes)
        if as_json:
            print_json(told)


@app.command(epilog=EPILOG)
def apply(
    file: FileArgument,
    number: Annotated[str, typer.Argument(help="Number of the settings in the sweep's table.", metavar="N")],
    yes: YesOption = False,
    seed: SeedOption = None,
    root: RootOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set settings that a sweep has tried for good, on its document store or flow: shows what changes, and with --yes
    does it."""
    wish = _read(file, None, seed)
    with _begun(file, wish, root, data, url, key, show=not as_json) as run:
        done = _apply(run, number, None, yes=yes)
    if as_json:
        print_json(done)


def _read(file: Path, holdout: float | None, seed: int | None) -> "Sweep":
    from service.cli.suites.reading import read_as
    from service.cli.sweeps.spec import Sweep

    changes = {"holdout": holdout, "seed": seed}
    return read_as(Sweep, file).model_copy(update={name: value for name, value in changes.items() if value is not None})


@contextmanager
def _begun(
    file: Path, wish: "Sweep", root: Path | None, data: Path | None, url: str | None, key: str | None, *, show: bool
) -> Iterator["Run"]:
    """A run of the sweep, with all that its file names made ready on the service."""
    from service.cli.client import connect
    from service.cli.suites.plan import planned
    from service.cli.suites.preparing import prepare
    from service.cli.sweeps.running import Run, subject_of
    from service.cli.sweeps.trials import trials_of

    chosen = trials_of(wish)
    plan = planned(file, wish.suite(), root=root, show=show)
    with connect(data, url, key) as client:
        prepared = prepare(client, plan, show=show)
        subject = subject_of(client, wish, chosen, prepared)
        run = Run(client, plan, wish, chosen, prepared, subject, show)
        _check(run.chosen.trials, run)
        yield run


def _check(trials: Sequence["Trial"], run: "Run") -> None:
    """Raises `UsageProblem` for settings that the subject does not have, before anything is made."""
    from service.cli.sweeps import flows, variants

    for trial in trials:
        if run.subject.store is not None:
            variants.variant(run.subject.store, trial.index)
        if run.subject.flow is not None:
            flows.changed(run.subject.flow, flows.copied(run.subject.flow), trial)


def _print_trials(wish: "Sweep", *, as_json: bool) -> None:
    from service.cli.sweeps.trials import told, trials_of

    chosen = trials_of(wish)
    if as_json:
        print_json([{"number": trial.number, "settings": dict(trial.settings)} for trial in chosen.trials])
        return
    print_table(("#", "settings"), [(trial.number, told(trial.settings)) for trial in chosen.trials])
    sampled = f", a random sample (seed {wish.seed})" if chosen.sampled else ""
    say(f"{len(chosen.trials) - 1} of {chosen.combinations} combinations{sampled}, and what is there now.")


def _apply(run: "Run", wanted: str, suggested: "Trial | None", *, yes: bool) -> dict[str, Any]:
    """Show what the settings change, and change it if that was asked for; what was done, for scripts."""
    from service.cli.sweeps.applying import application, done, found

    trial = found(run.chosen.trials, wanted, suggested)
    wish = application(run.subject, trial)
    if run.show:
        _print_changes(wish, trial, yes=yes)
    if yes and wish.changes:
        done(run.client, wish, show=run.show)
        run.say(f"{run.subject.name} has the settings #{trial.number} now.")
    return {
        "number": trial.number,
        "applied": yes and bool(wish.changes),
        "changes": [
            {"where": each.where, "what": each.what, "now": each.now, "then": each.then} for each in wish.changes
        ],
    }


def _print_changes(wish: "Application", trial: "Trial", *, yes: bool) -> None:
    if not wish.changes:
        say(f"#{trial.number} changes nothing: it is as it is now.")
        return
    print_table(("where", "what", "now", "then"), [(e.where, e.what, e.now, e.then) for e in wish.changes])
    if not yes:
        say("Nothing was changed; --yes makes these changes.")
