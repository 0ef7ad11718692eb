"""The panel that teaches the model: start, watch, cancel, and see whether it got better."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QLabel, QProgressBar, QWidget

from napari_diamant.gui.panels.curves import Curves
from napari_diamant.gui.panels.style import ACCENT, Panel, button, note, primary_button, row, small_button
from napari_diamant.types import JSON

LEAST_MINUTES = 0.1


class FineTunePanel(Panel):
    """Start, progress, curves (folded away once the fit is over) and outcome of one fit.

    Attributes
    ----------
    start_requested
        Signal with the options of the fit: ``{"minutes": 5.0, "restart": False}``.
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
        self._budget = QLabel("for at most")
        self._minutes = _minutes_box(minutes)
        self._afresh = QCheckBox("From the start")
        self._afresh.setToolTip("Drop the fit that was stopped; otherwise the next one goes on where it was")
        self._bar = QProgressBar()
        self._bar.setStyleSheet(f"QProgressBar::chunk {{ background: {ACCENT}; }}")
        self._cancel = button(
            "Cancel", "Stop the fit now and give its memory back; the model stays as it was"
        )
        self._curves = Curves()
        self._fold = small_button("Curves", "Show or fold away the curves of the last fit")
        self._fold.setCheckable(True)
        self._status = note()
        self._why = note()
        self._lay_out()
        self._start.clicked.connect(self._ask_start)
        self._cancel.clicked.connect(self._ask_cancel)
        self._fold.toggled.connect(self._curves.setVisible)
        for later in (self._afresh, self._curves, self._fold, self._status):
            later.hide()
        self.set_ready(False, "Open an image and correct its mask first.")
        self._show_running(False)

    def set_ready(self, ready: bool, why: str = "") -> None:
        """Enable the start, or say in words why not."""
        self._ready = ready
        self._start.setEnabled(ready)
        self._why.setText(why)
        self._why.setVisible(not ready and not self._running)

    def on_started(self) -> None:
        """Show that the fit has begun."""
        self._curves.clear_points()
        self._fold.setChecked(False)
        self._fold.hide()
        self._bar.setRange(0, 0)
        self._say("Starting: reading the images and their corrections…")
        self._cancel.setEnabled(True)
        self._show_running(True)

    def on_progress(self, event: JSON) -> None:
        """Show one progress event of the fit."""
        self._bar.setRange(0, int(event.get("total") or 0))
        self._bar.setValue(int(event.get("done") or 0))
        self._curves.add(event)
        if event.get("epoch") is not None and self._fold.isHidden():
            self._fold.show()
            self._fold.setChecked(True)
        self._say(_progress_words(event))

    def on_finished(self, result: JSON) -> None:
        """Show the outcome on the held-out part in words."""
        self._show_running(False)
        self._afresh.setChecked(False)
        self._afresh.hide()
        self._say(outcome_words(result), loud=True)

    def on_failed(self, message: str) -> None:
        """Show why there is no new model."""
        self._show_running(False)
        self._say(message, loud=True)

    def on_cancelled(self) -> None:
        """Show that nothing runs and nothing changed."""
        self._show_running(False)
        self._afresh.setChecked(False)
        self._afresh.show()
        self._say("Cancelled. The model is the same as before; the next fit goes on from here.")

    def _lay_out(self) -> None:
        self.body.addWidget(self._start)
        self.body.addLayout(row(self._budget, self._minutes, self._afresh, stretch=1))
        self.body.addLayout(row(self._bar, self._cancel, stretch=0))
        self.header.addWidget(self._fold)
        for widget in (self._curves, self._status, self._why):
            self.body.addWidget(widget)

    def _say(self, words: str, loud: bool = False) -> None:
        self._status.setText(words)
        self._status.setVisible(bool(words))
        self._status.setStyleSheet("font-weight: 600;" if loud else "")

    def _ask_start(self) -> None:
        restart = self._afresh.isChecked()
        self.start_requested.emit({"minutes": self._minutes.value(), "restart": restart})

    def _ask_cancel(self) -> None:
        self._cancel.setEnabled(False)
        self._say("Cancelling…")
        self.cancel_requested.emit()

    def _show_running(self, running: bool) -> None:
        self._running = running
        if not running:
            self._fold.setChecked(False)  # gives its room back to the work
        for widget in (self._start, self._budget, self._minutes):
            widget.setVisible(not running)
        self._why.setVisible(not running and not self._ready)
        if running:
            self._afresh.hide()
        self._bar.setVisible(running)
        self._cancel.setVisible(running)


def _minutes_box(minutes: float) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(LEAST_MINUTES, 24 * 60)
    box.setDecimals(1)
    box.setSuffix(" min")
    box.setValue(minutes)
    box.setAccessibleName("Time budget in minutes")
    box.setToolTip("The fit stops after this time at the latest, and earlier when it no longer improves")
    return box


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
    promoted = result.get("promoted", True)
    use = "The new model is in use." if promoted else "The new model is not better and was not put to use."
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
