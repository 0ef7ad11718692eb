"""The panel that teaches the model: start, watch, cancel, and see whether it got better."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QLabel, QProgressBar, QWidget

from napari_diamant.gui.panels.curves import SERIES, Curves
from napari_diamant.gui.panels.style import Panel, button, note, primary_button, row
from napari_diamant.types import JSON


class FineTunePanel(Panel):
    """Start, progress, curves and outcome of one fit.

    Attributes
    ----------
    start_requested
        Signal with the options of the fit: ``{"minutes": 5.0}``.
    cancel_requested
        Signal without arguments.
    """

    start_requested = Signal(object)
    cancel_requested = Signal()

    def __init__(self, minutes: float = 5.0, parent: QWidget | None = None) -> None:
        super().__init__("Learn", parent)
        self._ready, self._running = False, False
        self._start = primary_button(
            "Fine-tune on my corrections",
            "Train the model on what you corrected. You can go on painting while it runs.",
        )
        self._minutes = QDoubleSpinBox()
        self._minutes.setRange(0.5, 24 * 60)
        self._minutes.setDecimals(1)
        self._minutes.setSuffix(" min")
        self._minutes.setValue(minutes)
        self._minutes.setToolTip(
            "The fit stops after this time at the latest; it stops earlier when it no longer improves"
        )
        self._cancel = button(
            "Cancel", "Stop the fit now and give its memory back; the model stays as it was"
        )
        self._bar = QProgressBar()
        self._curves = Curves()
        self._key = note()
        self._key.setText(
            "   ".join(f'<span style="color:{SERIES[key]}">●</span> {words}' for key, words in _KEYS)
        )
        self._status = note()
        self._budget = QLabel("for at most")
        self.body.addWidget(self._start)
        self.body.addLayout(row(self._budget, self._minutes, stretch=1))
        self.body.addLayout(row(self._bar, self._cancel, stretch=0))
        self.body.addWidget(self._curves)
        self.body.addWidget(self._key)
        self.body.addWidget(self._status)
        self._curves.hide()
        self._key.hide()
        self._start.clicked.connect(lambda: self.start_requested.emit({"minutes": self._minutes.value()}))
        self._cancel.clicked.connect(self._ask_cancel)
        self.set_ready(False, "Open an image and correct its mask first.")
        self._show_running(False)

    def set_ready(self, ready: bool, why: str = "") -> None:
        """Enable the start, or say in words why not."""
        self._ready = ready
        self._start.setEnabled(ready)
        if not self._running:
            self._status.setText(why)

    def on_started(self) -> None:
        """Show that the fit has begun."""
        self._curves.clear_points()
        self._bar.setRange(0, 0)
        self._status.setText("Starting: reading the images and their corrections…")
        self._cancel.setEnabled(True)
        self._show_running(True)

    def on_progress(self, event: JSON) -> None:
        """Show one progress event of the fit."""
        self._bar.setRange(0, int(event.get("total") or 0))
        self._bar.setValue(int(event.get("done") or 0))
        self._curves.add(event)
        if event.get("epoch") is not None:
            self._curves.show()
            self._key.show()
        self._status.setText(_progress_words(event))

    def on_finished(self, result: JSON) -> None:
        """Show the outcome on the held-out part in words."""
        self._show_running(False)
        self._status.setText(outcome_words(result))

    def on_failed(self, message: str) -> None:
        """Show why there is no new model."""
        self._show_running(False)
        self._status.setText(message)

    def on_cancelled(self) -> None:
        """Show that nothing runs and nothing changed."""
        self._show_running(False)
        self._status.setText("Cancelled. The model is the same as before.")

    def _ask_cancel(self) -> None:
        self._cancel.setEnabled(False)
        self._status.setText("Cancelling…")
        self.cancel_requested.emit()

    def _show_running(self, running: bool) -> None:
        self._running = running
        for widget in (self._start, self._budget, self._minutes):
            widget.setVisible(not running)
        self._bar.setVisible(running)
        self._cancel.setVisible(running)


_KEYS = (("loss", "loss"), ("val_loss", "held-out loss"), ("val_dice", "held-out Dice"))


def outcome_words(result: JSON) -> str:
    """Say in words what a fit brought on the part it never learned from.

    Parameters
    ----------
    result
        With ``before`` and ``after`` (Dice or None), ``held_out`` (words), ``promoted`` and ``seconds``.
    """
    before, after = result.get("before"), result.get("after")
    held_out = str(result.get("held_out") or "").rstrip(".")
    where = f" on {held_out}" if held_out else ""
    if after is None:
        return "Done. Nothing was held out, so whether it got better is not known."
    score = f"Dice {after:.3f}" if before is None else f"Dice {before:.3f} → {after:.3f}"
    use = (
        "The new model is in use."
        if result.get("promoted", True)
        else "The new model is not better and was not put to use."
    )
    return f"{score}{where}. {use}"


def time_words(seconds: float) -> str:
    """Say a duration as people do.

    Examples
    --------
    >>> time_words(8), time_words(95), time_words(4000)
    ('8 s', '1 min 35 s', '1 h 6 min')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _progress_words(event: JSON) -> str:
    parts = [str(event.get("message") or "")]
    if event.get("seconds_left") is not None:
        parts.append(f"{time_words(event['seconds_left'])} left")
    if event.get("device"):
        parts.append(f"on {event['device']}")
    return " · ".join(part for part in parts if part)
