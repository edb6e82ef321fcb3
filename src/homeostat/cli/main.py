"""The front door: `homeostat COMMAND`. Help must be instant, so commands import late."""

import sys

import typer

from homeostat import __version__
from homeostat.cli import (
    act,
    audit,
    backtest,
    confirm,
    demo,
    detect,
    doctor,
    explain,
    export,
    get,
    init,
    judge,
    lab,
    people,
    policy,
    release,
    replay,
    report,
    run,
    schema,
    train,
    twin,
)
from homeostat.cli.exits import Exit
from homeostat.cli.output import tell

app = typer.Typer(
    name="homeostat",
    help="Keeps deployed machine-learning models inside their safe limits.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("init")(init.init)
app.command("doctor")(doctor.doctor)
app.command("run")(run.run)
app.command("detect")(detect.detect)
app.command("judge")(judge.judge)
app.command("backtest")(backtest.backtest)
app.command("get")(get.get)
app.command("explain")(explain.explain)
app.command("approve")(act.approve)
app.command("reject")(act.reject)
app.command("undo")(act.undo)
app.command("freeze")(act.freeze)
app.command("mode")(act.mode)
app.command("canary")(act.canary)
app.command("confirm")(confirm.confirm)
app.command("grant")(release.grant)
app.command("release")(release.release)
app.command("replay")(replay.replay)
app.command("report")(report.report)
app.command("train")(train.train)
app.command("schema")(schema.schema)
app.add_typer(lab.app, name="lab", help="Play simulated episodes and judge them.")
app.add_typer(twin.app, name="twin", help="Fit the twin to recorded metrics; check it.")
app.add_typer(policy.app, name="policy", help="Prove guard policies, and compare them.")
app.add_typer(export.app, name="export", help="Write what others need to watch the controller.")
app.add_typer(people.app, name="people", help="Keep who may talk to the controller, and as what.")
app.add_typer(audit.app, name="audit", help="Check the journal.")


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    """Keeps deployed machine-learning models inside their safe limits."""
    if version:
        typer.echo(f"homeostat {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; expected errors are one line on stderr and an exit code."""
    from homeostat.base.errors import ConfigError, CorruptStoreError, HomeostatError

    try:
        app()
    except ConfigError as error:
        _fail(error, Exit.USAGE)
    except CorruptStoreError as error:
        _fail(error, Exit.FAILED)
    except HomeostatError as error:
        _fail(error, Exit.FAILED)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(error: Exception, code: Exit) -> None:
    tell(f"homeostat: {error}")
    sys.exit(int(code))
