"""Build the lean tree: what an agent needs, and every client's manifest around it.

    build.py OUT                     write the tree to the directory OUT
    build.py OUT --zip skill.zip     and the skill alone as a zip

The tree goes to the branch `dist`, from which it installs as a Claude Code, Codex,
Cursor and Copilot plugin, as a Gemini extension and through `npx skills add`. Only
files that git tracks get in, and nothing depends on the clock: the same commit gives
the same bytes. The manifests are made of SKILL.md and pyproject.toml.

Exit codes: 0 built; 2 wrong usage, OUT is not empty, or a source file is missing.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# What an agent needs. Evals cost context in an installed skill; a script for
# maintainers is of no use there.
WANTED = re.compile(
    r"(SKILL\.md|LICENSE|CHANGELOG\.md|pyproject\.toml|references/.+|snippets/.+"
    r"|scripts/(?!maintain/).+)"
)
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name


def front_matter(skill: str) -> dict[str, str]:
    """Return the fields at the top of SKILL.md; a folded value becomes one line."""
    block = skill.split("---\n", 2)[1]
    fields = re.findall(r"^(\w+): (?:>-\n)?((?:.+(?:\n  .+)*))", block, re.MULTILINE)
    return {name: " ".join(value.split()) for name, value in fields}


def manifests(front: dict[str, str], version: str) -> dict[str, Any]:
    """Return each client's manifest by its path."""
    name, description = front["name"], front["description"]
    about = {"name": name, "version": version, "description": description}
    owner = {"name": f"{name} contributors"}
    entry = {"name": name, "source": "./", "description": description}
    market = {"name": name, "description": description, "owner": owner}
    return {
        ".claude-plugin/plugin.json": about
        | {"author": owner, "license": front["license"]},
        ".claude-plugin/marketplace.json": market | {"plugins": [entry]},
        ".codex-plugin/plugin.json": about | {"skills": "./skills/"},
        ".cursor-plugin/plugin.json": about | {"skills": "./skills/"},
        ".agents/plugins/marketplace.json": {
            "name": name,
            "plugins": [
                {
                    "name": name,
                    "source": {"source": "local", "path": "./"},
                    "policy": {
                        "installation": "AVAILABLE",
                        "authentication": "ON_INSTALL",
                    },
                    "category": "Developer Tools",
                }
            ],
        },
        "gemini-extension.json": about,
        "plugin.json": {
            "$schema": "https://agent-plugins.org/schemas/1.0.0/plugin.schema.json",
            "name": name,
            "version": version,
        },
    }


def tracked() -> list[str]:
    """Return the files that a clone has."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name]


def sources() -> list[str]:
    """Return the tracked files that an agent needs, sorted."""
    return sorted(name for name in tracked() if WANTED.fullmatch(name))


def build(out: Path) -> Path:
    """Write the lean tree to `out`; return the skill's directory in it."""
    front = front_matter((ROOT / "SKILL.md").read_text(encoding="utf-8"))
    meta = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    skill = out / "skills" / front["name"]
    for name in sources():
        target = skill / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    shutil.copyfile(ROOT / "README.md", out / "README.md")
    for path, manifest in manifests(front, meta["project"]["version"]).items():
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        target.write_text(text, encoding="utf-8", newline="\n")
    return skill


def pack(skill: Path, archive: Path) -> None:
    """Write `skill` to a zip with one folder at its top."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(path for path in skill.rglob("*") if path.is_file()):
            name = path.relative_to(skill.parent).as_posix()
            info = zipfile.ZipInfo(name, LONG_AGO)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, path.read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="an empty directory")
    parser.add_argument("--zip", type=Path, metavar="FILE", help="also write a zip")
    args = parser.parse_args()
    if args.out.exists() and any(args.out.iterdir()):
        parser.error(f"{args.out} is not empty: name a new directory")
    skill = build(args.out)
    if args.zip:
        pack(skill, args.zip)
    print(skill)
    return 0


if __name__ == "__main__":
    sys.exit(main())
