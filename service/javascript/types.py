"""What running JavaScript can end with besides a result."""

from service.errors import ServiceError, Unprocessable

SETTING = "RAGSTONE_JAVASCRIPT"

OFF = f"JavaScript is not run here. Whoever runs the service can switch it on: start with {SETTING}=on"
"""Why a script is refused where the operator has not switched it on."""


class JavaScriptOff(ServiceError):
    """JavaScript is not run here."""

    status, code = 501, "javascript_off"

    def __init__(self) -> None:
        """Says by which setting it is switched on."""
        super().__init__(OFF + ".")


class ScriptFailed(Unprocessable):
    """A script failed, or crossed a limit.

    The message is the script's error."""

    code = "script_failed"
    private = True
