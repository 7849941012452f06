"""Notices new commits, wherever they come from, and tells EventBridge once of each change of a branch."""

from __future__ import annotations

import logging
from pathlib import Path

from orchestrator.local.services.codecommit.git import Git, GitFailed, signature
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World

LOGGER = logging.getLogger(__name__)

WATCH = "codecommit-watch"
WATCH_SECONDS = 1.0
CHANGE = "CodeCommit Repository State Change"


class Watcher:
    """One task for each repository; between two changes it only looks at a few files."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = world.store
        self._unreadable: dict[Key, str] = {}
        world.tasks.register(WATCH, self._step)

    def look(self, key: Key) -> None:
        """Look at a repository now."""
        self._world.tasks.schedule(WATCH, key)

    def _step(self, key: Key) -> float | None:
        document = self._store.get(key)
        if document is None:
            return None
        directory = Path(document["directory"])
        seen = signature(directory)  # before the branches are read: what changes meanwhile is seen the next time
        if seen != document["signature"]:
            try:
                self._note(key, Git(directory), seen)
            except GitFailed as problem:
                if self._unreadable.get(key) != str(problem):
                    LOGGER.warning("the repository %s cannot be read: %s", key.name, problem)
                self._unreadable[key] = str(problem)
                return WATCH_SECONDS
            self._unreadable.pop(key, None)
        self._tell(key)
        return WATCH_SECONDS

    def _note(self, key: Key, git: Git, seen: list[str]) -> None:
        """Write the branches down together with what is to be told of them."""
        branches, head = git.branches(), git.head()
        with self._store.transaction():
            document = self._store.get(key)
            if document is None:
                return
            document["outbox"] += changes(document["branches"], branches)
            document.update(branches=branches, signature=seen)
            metadata = document["metadata"]
            if branches and metadata.get("defaultBranch") not in branches:
                metadata["defaultBranch"] = head if head in branches else min(branches)
            if document["outbox"]:
                metadata["lastModifiedDate"] = self._world.now()
            self._store.put(key, document)

    def _tell(self, key: Key) -> None:
        while (document := self._store.get(key)) and document["outbox"]:
            metadata = document["metadata"]
            detail = {
                **document["outbox"][0],
                "repositoryName": metadata["repositoryName"],
                "repositoryId": metadata["repositoryId"],
                "callerUserArn": f"arn:aws:iam::{key.account}:root",
            }
            self._world.emit(key.account, key.region, "aws.codecommit", CHANGE, detail, [metadata["Arn"]])
            self._store.update(key, lambda current: current.update(outbox=current["outbox"][1:]))


def changes(before: dict[str, str], after: dict[str, str]) -> list[Document]:
    """The details of events that lead from one state of the branches to the other (CodeCommit User Guide)."""
    found: list[Document] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        event = "referenceUpdated" if old and new else "referenceCreated" if new else "referenceDeleted"
        commits = {"commitId": new, "oldCommitId": old}
        found.append(
            {
                "event": event,
                "referenceType": "branch",
                "referenceName": name,
                "referenceFullName": f"refs/heads/{name}",
                **{member: commit for member, commit in commits.items() if commit},
            }
        )
    return found
