"""Results as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_diamant.types import JSON

if TYPE_CHECKING:
    from rich.console import RenderableType


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> RenderableType:
    """Lay rows out under headings; `columns` maps a key of the rows to its heading."""
    from rich.box import SIMPLE
    from rich.table import Table

    drawn = Table(*columns.values(), box=SIMPLE, show_edge=False, pad_edge=False)
    for row in rows:
        drawn.add_row(*(cell(row.get(key)) for key in columns))
    return drawn


def cell(value: Any) -> str:
    """Write one value; what is not known stays empty.

    Examples
    --------
    >>> cell(0.87123), cell(True), cell(None), cell(7760097)
    ('0.871', 'yes', '', '7,760,097')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def sentence_of_fit(result: JSON) -> str:
    """Say how a fit ended: the held-out score and, where it started from a model, what it was before."""
    after, before = result.get("after"), result.get("before")
    score = "no image was held out"
    if isinstance(after, int | float):
        start = f"{before:.3f} → " if isinstance(before, int | float) else ""
        score = f"held-out Dice {start}{after:.3f}"
        if result.get("held_out"):
            score += f" ({result['held_out']})"
    where = result.get("output") or result.get("model", "")
    return f"{where}: {score}, {float(result.get('seconds', 0)):.0f} s"


SCORE_COLUMNS = {"name": "image", "dice": "Dice", "iou": "IoU", "hd95": "HD95", "nsd": "NSD"}


def score_tables(result: JSON) -> list[RenderableType]:
    """Lay an evaluation out: every image, then the means, then how often masks were empty.

    Parameters
    ----------
    result
        What `napari_diamant.engine.evaluate.Evaluation.as_json` gives.
    """
    rows = [{"name": image["name"], **image["mean"]} for image in result["images"]]
    rows += _mean_rows(f"mean of {len(rows)}", result["mean"])
    if len(result["classes"]) > 1:
        for name, scores in result["classes"].items():
            rows += _mean_rows(name, scores)
    return [table(rows, SCORE_COLUMNS), *_empty(result["empty"])]


def _mean_rows(name: str, scores: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Give a row of means and one of their intervals."""
    means = {score: mean["value"] for score, mean in scores.items()}
    intervals = {score: f"{cell(mean['low'])}–{cell(mean['high'])}" for score, mean in scores.items()}
    return [{"name": name, **means}, {"name": "  95 % interval", **intervals}]


def _empty(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Say how often a class was missing: such images score 0 or 1 and move the mean."""
    text = "{}: missing in {truth} true and in {prediction} predicted masks, in both of {both}"
    return [
        text.format(name, **count) for name, count in counts.items() if count["truth"] or count["prediction"]
    ]
