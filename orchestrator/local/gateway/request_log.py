"""A line for every request, without what it carried: who asked what of which service, and how it ended."""

from __future__ import annotations

import logging
import threading
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

from orchestrator.local.messages import Request, Response

LARGEST_FILE = 10 * 1024 * 1024
FILES = 2


class RequestLog:
    """``home/requests.log``; moved aside when it is full, so it never takes more than 20 MB."""

    def __init__(self, path: Path) -> None:
        self._handler = RotatingFileHandler(path, maxBytes=LARGEST_FILE, backupCount=FILES - 1, delay=True)
        self._handler.setFormatter(logging.Formatter("%(message)s"))
        self._lock = threading.Lock()

    def write(self, request: Request, response: Response, who: str, what: str, began: float) -> None:
        """Note a finished request; ``began`` is its ``time.time()``, ``who`` the account and region."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began)) + f".{int(began % 1 * 1000):03}Z"
        took = (time.time() - began) * 1000
        sizes = f"{len(request.body)} {len(response.body)}"
        line = f"{moment} {who} {what} {response.status} {took:.1f}ms {sizes}"
        record = logging.LogRecord("requests", logging.INFO, "", 0, line, None, None)
        with self._lock:
            self._handler.handle(record)

    def close(self) -> None:
        """Close the file."""
        self._handler.close()
