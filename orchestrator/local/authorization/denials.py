"""``home/denied.log``: every request that IAM did not allow, with the reason; of what was asked, no contents."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path

LARGEST_FILE = 5 * 1024 * 1024
FILE = "denied.log"


class Denials:
    """Writes a line of JSON for each; moved aside when it is full, so it never takes more than 10 MB."""

    def __init__(self, home: Path) -> None:
        self._handler = RotatingFileHandler(home / FILE, maxBytes=LARGEST_FILE, backupCount=1, delay=True)
        self._handler.setFormatter(logging.Formatter("%(message)s"))
        self._lock = threading.Lock()

    def write(self, mode: str, operation: str, message: str, doubts: Sequence[str] = ()) -> None:
        """Note a request that was denied (mode ``enforce``) or would have been (``report``)."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = {"time": moment, "mode": mode, "operation": operation, "message": message}
        text = json.dumps({**line, "doubts": list(doubts)} if doubts else line)
        with self._lock:
            self._handler.handle(logging.LogRecord("denied", logging.INFO, "", 0, text, None, None))

    def close(self) -> None:
        """Close the file."""
        self._handler.close()
