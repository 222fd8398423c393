"""Every call of every provider that the sandbox plays."""

from typing import Any

from sandbox.calls import Call
from sandbox.line.calls import CALLS as LINE_CALLS
from sandbox.line.tokens import TOKEN_CALLS
from sandbox.paddle.calls import CALLS as PADDLE_CALLS
from sandbox.vivoldi.calls import CALLS as VIVOLDI_CALLS

CALLS: tuple[Call[Any], ...] = (
    *LINE_CALLS,
    *TOKEN_CALLS,
    *PADDLE_CALLS,
    *VIVOLDI_CALLS,
)
