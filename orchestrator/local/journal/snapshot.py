"""All of moto's state in one file: a pickle in which backends are named by their place, not copied.

The file begins with a line of JSON that names the moto it was made with; another version may have other objects,
so it is refused rather than guessed at.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import threading
import weakref
from collections import defaultdict
from pathlib import Path
from typing import Any

from orchestrator.local.journal import moto_app
from orchestrator.local.journal.blobs import Body

LOCKS: dict[type, Any] = {
    type(threading.Lock()): threading.Lock,
    type(threading.RLock()): threading.RLock,
    threading.Condition: threading.Condition,
    threading.Event: threading.Event,
    weakref.WeakValueDictionary: weakref.WeakValueDictionary,
}
"""Types whose objects are made anew: what they protect is whole in the snapshot."""


class UnreadableSnapshot(Exception):
    """The snapshot was made by another moto."""


class _Pickler(pickle.Pickler):
    def __init__(self, file: Any) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.digests: set[str] = set()

    def persistent_id(self, value: Any) -> Any:
        return moto_app.place_of(value)

    def reducer_override(self, value: Any) -> Any:
        if type(value) in LOCKS:
            return LOCKS[type(value)], ()
        if isinstance(value, Body) and value.digest:
            self.digests.add(value.digest)
        if isinstance(value, moto_app.KEPT_OBJECTS):
            # Their own way to be pickled copies the body; ours keeps the reference to it.
            return object.__new__, (type(value),), dict(vars(value)), None, None, _set_state
        if isinstance(value, dict) and (type(value).__module__.startswith("moto.") or isinstance(value, defaultdict)):
            # moto's dictionaries show less than they hold (old versions of an object) or need other arguments
            # to be made than pickle knows.
            factory = getattr(value, "default_factory", None)
            factory = moto_app.FACTORIES.get(getattr(factory, "__qualname__", ""), factory)
            state = (dict(getattr(value, "__dict__", {})), list(dict.items(value)))
            return _dictionary, (type(value), factory), state, None, None, _fill
        if "cryptography" in type(value).__module__ and hasattr(value, "private_bytes"):
            return _private_key, (_pem(value),)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, place: Any) -> Any:
        return moto_app.backend_at(*place)


def _set_state(value: Any, state: dict[str, Any]) -> None:
    value.__dict__.update(state)


def _dictionary(kind: type[dict[Any, Any]], factory: Any) -> Any:
    made: Any = kind.__new__(kind)
    if factory is not None:
        made.default_factory = factory
    return made


def _fill(made: dict[Any, Any], state: tuple[dict[str, Any], list[tuple[Any, Any]]]) -> None:
    attributes, items = state
    if attributes:
        vars(made).update(attributes)
    for key, value in items:
        dict.__setitem__(made, key, value)


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def _private_key(pem: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(pem, None)


def save(path: Path) -> set[str]:
    """Write moto's state to the file, complete and on disk when this returns; the blobs it needs."""
    moto_app.shed()
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    services = {name: moto_app.shared_state(found) for name, found in moto_app.backend_dicts().items()}
    pickler.dump((services, [(place, dict(vars(backend))) for place, backend in moto_app.backends()]))
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(json.dumps({"moto": moto_app.VERSION}).encode() + b"\n")
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_folder(path.parent)
    return pickler.digests


def load(path: Path) -> None:
    """Put the state of the file in place of moto's; raises UnreadableSnapshot."""
    with path.open("rb") as file:
        made_with = json.loads(file.readline())["moto"]
        if made_with != moto_app.VERSION:
            raise UnreadableSnapshot(
                f"{path} was written with moto {made_with}, installed is {moto_app.VERSION}; either install"
                f" moto=={made_with} or delete the folder {path.parent.parent} and begin anew"
            )
        services, states = _Unpickler(file).load()
    for service, shared in services.items():
        vars(moto_app.backend_at(service)).update(shared)
    for place, state in states:
        backend = moto_app.backend_at(*place)
        vars(backend).clear()
        vars(backend).update(state)


def sync_folder(folder: Path) -> None:
    """Make the names in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
