"""Start a repository: write a config that works, the JSON Schema for your editor, and the files it needs."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from orchestrator.cli import config
from orchestrator.cli.console import Console
from orchestrator.errors import Conflict, NotFound

SUMMARY = "write a first mlops-config.json into a folder"


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", default=".", help="where (default: here)")
    parser.add_argument("--from", dest="example", default="breast-cancer", help="which example (default breast-cancer)")
    parser.add_argument("--list", action="store_true", help="list the examples instead")


def examples() -> dict[str, Path]:
    """Name -> folder of every runnable example that ships with the product."""
    from orchestrator.blueprint import default_root

    folders = sorted(path.parent for path in (default_root() / "pipelines").glob("*/mlops-config.json"))
    return {folder.name: folder for folder in folders}


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.blueprint import load_catalog
    from orchestrator.schema import published

    found = examples()
    if arguments.list:
        texts = {
            name: json.loads((folder / config.DEFAULT).read_text()).get("description", "")
            for name, folder in found.items()
        }
        console.data(texts, "\n".join(f"{name:20} {text}" for name, text in texts.items()))
        return 0
    if arguments.example not in found:
        raise NotFound(f"There is no example {arguments.example}.", hint=f"Choose one of: {', '.join(found)}.")
    folder, source = Path(arguments.folder), found[arguments.example]
    files = [
        path.relative_to(source)
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    schema = Path("mlops-config.schema.json")
    taken = [str(name) for name in [*files, schema] if (folder / name).exists()]
    if taken:
        raise Conflict(f"{folder} already has {', '.join(taken)}; nothing was written.", hint="Choose another folder.")
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)
    document = json.loads((folder / config.DEFAULT).read_text())
    text = (folder / config.DEFAULT).read_text().replace(document["$schema"], f"./{schema}")
    (folder / config.DEFAULT).write_text(text)
    (folder / schema).write_text(json.dumps(published(load_catalog()), indent=2) + "\n")
    place = "here" if folder == Path() else f"to {folder}"
    written = [str(name) for name in [*files, schema]]
    console.data({"folder": str(folder), "files": written}, f"Wrote {', '.join(written)} {place}.")
    if Path("data.py") in files:
        console.say(
            "Its data: `python data.py out`, then `mlops upload out/assets`. Or name yours in mlops-config.json."
        )
    console.say("Next: edit mlops-config.json, then `mlops validate` and `mlops plan`.")
    return 0
