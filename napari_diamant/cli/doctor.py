"""The verb that looks at the machine and says what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from napari_diamant.cli.checkup import CHECKS, Finding, examine
from napari_diamant.cli.options import Json
from napari_diamant.cli.output import output
from napari_diamant.types import Progress

if TYPE_CHECKING:
    from rich.text import Text

_MARKS = {"ok": ("OK  ", "green"), "warning": ("WARN", "yellow"), "broken": ("FAIL", "bold red")}


def doctor(as_json: Json = False) -> None:
    """Look at the machine and say what to do."""
    with output(as_json) as to:
        findings: list[Finding] = []
        for number, (name, check) in enumerate(CHECKS.items()):
            to.report(Progress(f"looking at the {name}", number, len(CHECKS)))
            findings += examine(name, check)
        healthy = all(finding.state != "broken" for finding in findings)
        fields = {"verb": "doctor", "healthy": healthy, "findings": [asdict(item) for item in findings]}
        to.result(fields, *(_line(finding) for finding in findings))
    if not healthy:
        raise typer.Exit(1)


def _line(finding: Finding) -> Text:
    from rich.text import Text

    advice = f" {finding.advice}" if finding.advice else ""
    return Text.assemble(_MARKS[finding.state], f"  {finding.name}: {finding.words}.{advice}")
