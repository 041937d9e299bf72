"""What a run writes down: a line a step, TensorBoard's events, a curve, and a progress line for whoever watches."""
import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.event_file_writer import EventFileWriter


class Records:
    """Numbers by step, on the disk and on the screen."""

    def __init__(self, folder: Path, start: int, steps: int, screen: TextIO | None = None) -> None:
        self.folder, self.steps, self.screen = folder, steps, screen or sys.stderr
        _forget_after(folder / "metrics.jsonl", start)
        self._lines = open(folder / "metrics.jsonl", "a", buffering=1)  # noqa: SIM115
        self._events = EventFileWriter(str(folder))
        # TensorBoard forgets what a killed run wrote from here on.
        self._events.add_event(Event(wall_time=time.time(), step=start + 1, session_log=SessionLog(status=SessionLog.START)))
        self._first: tuple[int, float] | None = None  # the first step seen and when: compiling came before
        self._said = 0.0

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *error: object) -> None:
        self._lines.close()
        self._events.close()
        if self.screen.isatty():
            self.screen.write("\n")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        said = {name: value if math.isfinite(value) else None for name, value in values.items()}  # JSON knows no NaN
        self._lines.write(json.dumps({"step": step, **said}) + "\n")
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._events.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=scalars)))

    def progress(self, step: int, loss: float, tokens: int, share: float) -> None:
        """One line, rewritten on a terminal; in a file, a line every ten seconds."""
        now = time.perf_counter()
        self._first = self._first or (step, now)
        first, began = self._first
        soon = now - self._said < (0.2 if self.screen.isatty() else 10.0)
        if (soon or step == first) and step < self.steps:
            return
        self._said = now
        pace = (step - first) / max(now - began, 1e-9)
        left = (self.steps - step) / max(pace, 1e-9)
        line = (f"step {step}/{self.steps}  loss {loss:.4f}  {pace * tokens:,.0f} tokens/s  "
                f"{100 * share * pace:.0f} % of peak  {int(left // 60)}:{int(left % 60):02d} left")
        self.screen.write(f"\r{line}\033[K" if self.screen.isatty() else line + "\n")
        self.screen.flush()


def _forget_after(path: Path, start: int) -> None:
    """Drops the lines of steps that will be taken again."""
    if path.exists():
        kept = [line for line in path.read_text().splitlines() if _step_of(line) <= start]
        path.with_suffix(".new").write_text("".join(line + "\n" for line in kept))
        path.with_suffix(".new").replace(path)


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (json.JSONDecodeError, KeyError):
        return float("inf")  # half a line, from a run that was killed while writing it


def read(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def curve(folder: Path, title: str) -> None:
    """The loss by step, learned and held out."""
    from matplotlib.figure import Figure

    lines = read(folder)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, color, marker in (("loss", "tab:blue", ""), ("held_out", "tab:orange", "o")):
        points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=name.replace("_", " "), color=color, marker=marker)
    axes.set(xlabel="step", ylabel="loss (nats)", title=title)
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(folder / "curve.png", dpi=120)
