"""Logging: a constant message and key=value pairs, with the request or reconcile it belongs to.

`with log.context(load_balancer_id=...)` adds pairs to every line of the block, in this thread.
"""

import contextlib
import contextvars
import logging
import sys
from collections.abc import Iterator

NOISY = ("httpx", "httpcore", "urllib3", "keystoneauth", "pyroute2", "asyncio", "oslo_policy", "uvicorn", "alembic")
"""Libraries whose INFO lines would bury ours."""

_context: contextvars.ContextVar[tuple[tuple[str, object], ...]] = contextvars.ContextVar("log_context", default=())


@contextlib.contextmanager
def context(**pairs: object) -> Iterator[None]:
    token = _context.set((*_context.get(), *pairs.items()))
    try:
        yield
    finally:
        _context.reset(token)


def _value(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text or "=" in text else text


class Logger:
    """`logger.info("server created", server_id=id)` → `... server created server_id=4f2a... load_balancer_id=...`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def _log(self, level: int, message: str, pairs: dict[str, object], *, trace: bool = False) -> None:
        if not self._logger.isEnabledFor(level):
            return
        text = " ".join([message, *(f"{key}={_value(value)}" for key, value in (*pairs.items(), *_context.get()))])
        self._logger.log(level, "%s", text, exc_info=trace)

    def debug(self, message: str, **pairs: object) -> None:
        self._log(logging.DEBUG, message, pairs)

    def info(self, message: str, **pairs: object) -> None:
        self._log(logging.INFO, message, pairs)

    def warning(self, message: str, **pairs: object) -> None:
        self._log(logging.WARNING, message, pairs)

    def error(self, message: str, **pairs: object) -> None:
        self._log(logging.ERROR, message, pairs)

    def exception(self, message: str, **pairs: object) -> None:
        """An error nobody foresaw, with its traceback: for the outermost loops."""
        self._log(logging.ERROR, message, pairs, trace=True)


def setup(level: str = "INFO") -> None:
    """Lines to standard error, one per event, time in UTC. Called once by each program."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
