"""The names of the verbs. They are a contract: scripts and the window depend on them."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_diamant.cli import doctor, files, listing, projects, serve, tour, window

app = typer.Typer(
    help="See a vision transformer's attention heads, segment with them, correct, fine-tune.",
    epilog="Every verb takes --json. Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
project_app = typer.Typer(help="Make and look after a project folder.", rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        from napari_diamant import __version__

        typer.echo(f"napari-diamant {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Take the options that stand before a verb."""


app.command("open")(window.open_)
app.command("tour")(tour.tour)
app.command("attend")(files.attend)
app.command("predict")(files.predict)
app.command("train")(files.train)
app.command("evaluate")(files.evaluate)
app.add_typer(project_app, name="project")
app.command("fine-tune")(projects.fine_tune)
app.command("models")(listing.models)
app.command("doctor")(doctor.doctor)
app.command("engine", hidden=True)(serve.engine)

project_app.command("new")(projects.new)
project_app.command("add")(projects.add)
project_app.command("relocate")(projects.relocate)
project_app.command("list")(projects.list_)
project_app.command("status")(projects.status)
project_app.command("verify")(projects.verify)
project_app.command("export")(projects.export)
