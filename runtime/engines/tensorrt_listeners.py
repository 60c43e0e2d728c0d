"""What TensorRT calls back: its log, which explains its failures, and its progress.

log = make_log(tensorrt)
builder = tensorrt.Builder(log)
print(log.reasons())
"""

from __future__ import annotations

from functools import cache
from typing import Any

from deixis.runtime.engines import Progress

_MOST_REASONS = 3
"""Of several log lines this many are put into a message."""


@cache
def make_log(trt: Any) -> Any:
    """The log of a TensorRT module, one for all: TensorRT keeps the first one that it is given.

    Returns:
        A logger with ``clear()``, and ``reasons()`` for messages.
    """

    class Log(trt.ILogger):  # type: ignore[misc]
        """Keeps errors and warnings, to put them into messages."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[tuple[bool, str]] = []

        def log(self, severity: Any, text: str) -> None:
            severities = trt.ILogger.Severity
            if severity in (severities.INTERNAL_ERROR, severities.ERROR, severities.WARNING):
                self.lines.append((severity != severities.WARNING, " ".join(text.split())))

        def clear(self) -> None:
            self.lines.clear()

        def reasons(self) -> str:
            """The first errors; where there are none, the last warnings."""
            errors = [text for is_error, text in self.lines if is_error][:_MOST_REASONS]
            warnings = [text for _, text in self.lines][-_MOST_REASONS:]
            return "; ".join(errors or warnings) or "no reason given"

    return Log()


def make_monitor(trt: Any, progress: Progress) -> Any:
    """A progress monitor: ``interrupted`` holds what ``progress`` raised, which stops the build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Passes the outermost phases on; what is raised meanwhile stops the build."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}
            self.interrupted: BaseException | None = None

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            if parent is None:
                self.steps[name] = steps
                self._tell(name, 0)

        def step_complete(self, name: str, step: int) -> bool:
            if name in self.steps:
                self._tell(name, step + 1)
            return self.interrupted is None

        def phase_finish(self, name: str) -> None:
            self.steps.pop(name, None)

        def _tell(self, name: str, done: int) -> None:
            # TensorRT's frames are below: an exception must not pass through them.
            try:
                progress(name, done, self.steps[name])
            except BaseException as cause:  # noqa: BLE001
                self.interrupted = cause

    return Monitor()
