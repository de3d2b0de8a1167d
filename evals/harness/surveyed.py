"""A project and a skill beside it that surveys it, for evals of scripts/survey.py."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any

from .small_pack import ROOT, Done, SmallPack, ours


def constant(path: str, name: str) -> dict[str, Any]:
    """Return the dict that a script assigns to `name`, without importing it."""
    tree = ast.parse((ROOT / "scripts" / path).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return dict(ast.literal_eval(node.value))
    raise LookupError(f"{path} has no {name}")


PAGES = constant("survey.py", "PAGES")
LISTS = constant("surveying/project.py", "LISTS")


class Report(dict[str, list[str]]):
    """The JSON; each item is "at what note" in one string."""

    def __init__(self, done: Done) -> None:
        assert (done.code, done.err) == (0, ""), done
        self.style: str = done.answer["style"]
        for key in LISTS:
            items = done.answer[key]
            words = ([item["at"], item["what"], item["note"]] for item in items)
            self[key] = [" ".join(filter(None, item)) for item in words]

    @property
    def problems(self) -> list[str]:
        """What is in the way, as "at what"."""
        return [" ".join(item.split()[:2]) for item in self["in_the_way"]]

    @property
    def kept(self) -> list[str]:
        return [" ".join(item.split()[:2]) for item in self["keep"]]

    @property
    def pages(self) -> list[str]:
        return [item.split()[1] for item in self["pages"]]


class Surveyed(SmallPack):
    """An empty project, and a skill with the real survey.py that has every page."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        (self.root / "scripts" / "surveying").mkdir()
        for name in ("survey.py", *ours("surveying/*.py")):
            shutil.copy(ROOT / "scripts" / name, self.root / "scripts" / name)
        rows = [f"| task | [page](references/{page}.md) |" for page in PAGES]
        table = "\n".join(["| Before you | Read |", "| --- | --- |", *rows, ""])
        (self.root / "SKILL.md").write_text(table, encoding="utf-8")

    def lay(self, files: dict[str, str]) -> None:
        """Write files of the project, without the indentation of a literal."""
        for name, text in files.items():
            self.give(name, dedent(text).removeprefix("\n"))

    def run(self, *args: str) -> Done:
        return self.add(*args, script=self.root / "scripts" / "survey.py")

    def survey(self, *args: str) -> Report:
        return Report(self.run("--json", *args))

    def of(self, files: dict[str, str]) -> Report:
        """Lay `files` down and survey them."""
        self.lay(files)
        return self.survey()

    def answers(self) -> str:
        """All that any form of the command says."""
        forms = [self.run(), self.run("--json")]
        return json.dumps([[done.out, done.err] for done in forms], ensure_ascii=False)
