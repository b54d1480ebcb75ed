"""How a request can fail: the status codes of gRPC, and what TensorFlow Serving makes of them over HTTP."""

import enum


class Code(enum.Enum):
    """A status code; its value is its number in TensorFlow's protocol."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


#: Status code -> HTTP status.
HTTP = {
    Code.OK: 200, Code.CANCELLED: 499, Code.UNKNOWN: 500, Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504, Code.NOT_FOUND: 404, Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429, Code.FAILED_PRECONDITION: 400, Code.UNIMPLEMENTED: 501, Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
}  # fmt: skip


class ServingError(Exception):
    """A request cannot be answered.

    Attributes:
        code: which kind of failure.
        message: what the client is told.
        http: the HTTP status.
    """

    def __init__(self, code: Code, message: str, http: int | None = None):
        super().__init__(message)
        self.code, self.message = code, message
        self.http = HTTP[code] if http is None else http


def invalid(message: str) -> ServingError:
    """Return the error for a request that is wrong in itself."""
    return ServingError(Code.INVALID_ARGUMENT, message)
