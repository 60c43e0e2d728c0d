"""One error tree for the whole project: what is wrong, where, and what to do next.

Every error that a user can cause or mend derives from :class:`DeixisError`; the command line turns
it into one message and an exit code, so no verb formats tracebacks of its own.

    raise BundleError("there is no bundle at bundles/cpu", hint="deixis export all")
"""

from __future__ import annotations


class DeixisError(Exception):
    """Base of all errors.

    Args:
        message: What is wrong and where, in one sentence.
        hint: What the user can do next (a command, where there is one).
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class UsageError(DeixisError):
    """The command line itself is wrong (exit code 2)."""

    exit_code = 2


class ConfigError(DeixisError):
    """A configuration file or a parameter is wrong; the message names the file and the key."""


class GraphError(ConfigError):
    """A graph file does not describe a graph that can run."""


class DomainError(ConfigError):
    """A domain file (sentence templates) is wrong."""


class CalibrationError(ConfigError):
    """A calibration is missing, unreadable, or does not fit the device."""


class BundleError(DeixisError):
    """A bundle is missing, incomplete, altered, or of an unknown schema."""


class SignatureError(DeixisError):
    """A bundle is not signed by the key that is required, or a key cannot be used."""


class WeightsError(DeixisError):
    """Pretrained weights are missing or are not the ones that are pinned."""


class ExportError(DeixisError):
    """A model could not be converted, or falls below its floor."""


class EngineError(DeixisError):
    """A model could not be opened or run by its backend."""


class DeviceError(DeixisError):
    """A microphone, camera or robot is not there or stopped answering."""


class MediaError(DeixisError):
    """An audio, video or episode file is missing or cannot be read."""


class MissingExtraError(DeixisError):
    """An optional dependency is not installed.

    Args:
        package: The package that is missing.
        extra: The extra of deixis that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"the package {package!r} is not installed", hint=f"pip install 'deixis[{extra}]'"
        )


class BusError(DeixisError):
    """A socket or a shared-memory ring cannot be used."""


class SharedMemoryError(BusError):
    """Shared memory is full or cannot be created."""


class MessageError(BusError):
    """A message from outside does not decode into its declared type."""


class DaemonError(DeixisError):
    """The daemon is not running, is already running, or did not answer."""


class NodeError(DeixisError):
    """A node failed to start or to go on."""
