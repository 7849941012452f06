"""The ``git`` command, plumbing only: nothing of the user's configuration, no hooks, no network, no shell."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
SPECIFIER = re.compile(r"(?!.*(?:\.\.|//))[\w][\w./+#-]*")
LONGEST_SECONDS = 60
SETTINGS = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_LITERAL_PATHSPECS": "1",
    "HOME": os.devnull,
    "LC_ALL": "C",
}


class GitFailed(Exception):
    """git said no; the text is what it wrote."""


class Entry(NamedTuple):
    """One line of a tree."""

    mode: str
    kind: str
    object_id: str
    size: int
    path: str


class Change(NamedTuple):
    """One file that differs between two commits; an empty id means that there is no file on that side."""

    kind: str
    path: str
    before_mode: str
    before_id: str
    after_mode: str
    after_id: str


class Git:
    """One repository, by its Git directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *arguments: str, given: bytes = b"", variables: Mapping[str, str] | None = None) -> bytes:
        """What a git command prints; raises GitFailed."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), **SETTINGS, **(variables or {})}
        safe = ("-c", f"safe.directory={self.directory}", "-c", "core.hooksPath=" + os.devnull, "-c", "core.fsmonitor=")
        try:
            done = subprocess.run(
                ["git", *safe, f"--git-dir={self.directory}", *arguments],
                input=given,
                capture_output=True,
                env=environment,
                cwd="/",
                timeout=LONGEST_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise GitFailed("the command 'git' is not installed") from None
        except subprocess.TimeoutExpired:
            raise GitFailed(f"git {arguments[0]} took longer than {LONGEST_SECONDS} seconds") from None
        if done.returncode:
            raise GitFailed(done.stderr.decode(errors="replace").strip() or f"git {arguments[0]} failed")
        return done.stdout

    def create(self) -> None:
        """Make an empty bare repository whose first branch will be ``main``."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.run("init", "--quiet", "--bare", "--initial-branch=main", "--template=")

    def branches(self) -> dict[str, str]:
        """The commit of every branch."""
        lines = self.run("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/").decode().splitlines()
        return {name.removeprefix("refs/heads/"): commit for commit, _, name in (line.partition(" ") for line in lines)}

    def head(self) -> str:
        """The branch that HEAD names, or nothing when it names a commit."""
        try:
            return self.run("symbolic-ref", "--quiet", "HEAD").decode().strip().removeprefix("refs/heads/")
        except GitFailed:
            return ""

    def commit(self, specifier: str) -> str | None:
        """The id of the commit that a branch, a tag, a whole reference, HEAD or an id names."""
        if not SPECIFIER.fullmatch(specifier):
            return None
        names = [f"refs/heads/{specifier}", f"refs/tags/{specifier}"]
        if OBJECT_ID.fullmatch(specifier) or specifier == "HEAD" or specifier.startswith("refs/"):
            names.append(specifier)
        asked = "".join(f"{name}^{{commit}}\n" for name in names).encode()
        for line in self.run("cat-file", "--batch-check", given=asked).decode().splitlines():
            object_id, _, rest = line.partition(" ")
            if rest.startswith("commit "):
                return object_id
        return None

    def entry(self, commit: str, path: str) -> Entry | None:
        """What lies at a path of a commit; the root is an empty path."""
        if not path:
            tree = self.run("rev-parse", "--verify", f"{commit}^{{tree}}").decode().strip()
            return Entry("040000", "tree", tree, 0, "")
        found = list(self._entries("ls-tree", "-z", "-l", commit, path))
        return found[0] if found and found[0].path == path else None

    def tree(self, tree: str) -> list[Entry]:
        """What lies directly in a tree."""
        return list(self._entries("ls-tree", "-z", "-l", tree))

    def files(self, commit: str) -> dict[str, Entry]:
        """Every file of a commit by its path."""
        return {entry.path: entry for entry in self._entries("ls-tree", "-z", "-l", "-r", commit)}

    def _entries(self, *arguments: str) -> Iterator[Entry]:
        for line in self.run(*arguments).decode(errors="surrogateescape").split("\0")[:-1]:
            about, _, path = line.partition("\t")
            mode, kind, object_id, size = about.split()
            yield Entry(mode, kind, object_id, 0 if size == "-" else int(size), path)

    def read(self, kind: str, object_id: str) -> bytes:
        """The content of an object; raises GitFailed when there is no such object of that kind."""
        return self.run("cat-file", kind, object_id)

    def changes(self, before: str | None, after: str) -> list[Change]:
        """The files that differ; without ``before`` every file of ``after`` is new."""
        if before is None:
            return [Change("A", each.path, "", "", each.mode, each.object_id) for each in self.files(after).values()]
        text = self.run("diff-tree", "-r", "-z", "--no-renames", before, after).decode(errors="surrogateescape")
        parts = text.split("\0")[:-1]
        return [_change(about, path) for about, path in zip(parts[::2], parts[1::2], strict=True)]

    def write(self, content: bytes) -> str:
        """Keep a file's content; its id."""
        return self.run("hash-object", "-w", "--stdin", given=content).decode().strip()

    def write_tree(self, entries: Iterable[tuple[str, str, str]], index: Path) -> str:
        """Keep a tree of (mode, id, path); its id. ``index`` is a file that is used on the way."""
        variables = {"GIT_INDEX_FILE": str(index)}
        lines = "".join(f"{mode} {object_id}\t{path}\0" for mode, object_id, path in entries)
        given = lines.encode(errors="surrogateescape")
        self.run("update-index", "-z", "--index-info", given=given, variables=variables)
        return self.run("write-tree", variables=variables).decode().strip()

    def write_commit(self, tree: str, parent: str | None, message: str, author: str, email: str) -> str:
        """Keep a commit; its id."""
        names = {
            f"GIT_{who}_{what}": text
            for who in ("AUTHOR", "COMMITTER")
            for what, text in (("NAME", author), ("EMAIL", email))
        }
        parents = ("-p", parent) if parent else ()
        return self.run("commit-tree", tree, *parents, given=message.encode(), variables=names).decode().strip()

    def move_branch(self, name: str, commit: str, before: str | None) -> None:
        """Let a branch name a commit if it still names ``before``; raises GitFailed."""
        self.run("update-ref", f"refs/heads/{name}", commit, before or "0" * len(commit))

    def delete_branch(self, name: str) -> None:
        """Remove a branch."""
        self.run("update-ref", "-d", f"refs/heads/{name}")


def _change(about: str, path: str) -> Change:
    before_mode, after_mode, before_id, after_id, kind = about.removeprefix(":").split()
    return Change(
        "M" if kind == "T" else kind,
        path,
        before_mode,
        "" if set(before_id) == {"0"} else before_id,
        after_mode,
        "" if set(after_id) == {"0"} else after_id,
    )


def directory_of(path: Path) -> Path:
    """The common Git directory of a repository or working copy; raises GitFailed."""
    for candidate in (path / ".git", path):
        if candidate.is_dir() and (candidate / "HEAD").exists():
            found = Git(candidate.resolve()).run("rev-parse", "--path-format=absolute", "--git-common-dir")
            return Path(found.decode().strip())
    pointer = path / ".git"
    if pointer.is_file() and (text := pointer.read_text()).startswith("gitdir: "):  # a worktree or a submodule
        return directory_of(path / text.removeprefix("gitdir: ").strip())
    raise GitFailed(f"{path} is not a Git repository")


def signature(directory: Path) -> list[str]:
    """What changes whenever a branch does, without asking git: a stamp of every file that can hold a reference."""
    places = [directory / "packed-refs", directory / "reftable" / "tables.list", directory / "HEAD"]
    stamps = [_stamp(place) for place in places]
    for folder, _, names in sorted(os.walk(directory / "refs" / "heads")):
        stamps += [_stamp(Path(folder, name)) for name in sorted(names)]
    return stamps


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{path.name} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
