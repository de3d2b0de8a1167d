"""The user's project: what stands in it, read and written without leaving it."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from .pack import COMMENT, ROOT, Pack, Refused, digest

STAMP = re.compile(r"##? From (\S+) (\S+), (snippets/\S+) sha256:([0-9a-f]{12})")
# Where nobody keeps copies, and where a walk takes long.
PRUNED = {"node_modules", "__pycache__", "site-packages"}


@dataclass(frozen=True)
class Copy:
    """A file of the project: its text without the stamp, and what the stamp says."""

    text: str  # with \n line ends
    crlf: bool
    bom: bool
    stamp: str = ""
    version: str = ""
    source: str = ""
    hash: str = ""
    home: str = ""  # the project below this one that it belongs to, if it does

    @classmethod
    def parse(cls, raw: str) -> Copy:
        bom, crlf = raw.startswith("\ufeff"), "\r\n" in raw
        text = raw.removeprefix("\ufeff").replace("\r\n", "\n")
        first, _, rest = text.partition("\n")
        if found := STAMP.fullmatch(first):
            return cls(rest, crlf, bom, first, *found.group(2, 3, 4))
        return cls(text, crlf, bom)

    @property
    def untouched(self) -> bool:
        """Whether nobody changed the copy since it was made."""
        return self.hash == digest(self.text)

    def encode(self, text: str) -> bytes:
        """Return `text` with the line ends that this file has."""
        text = text.replace("\n", "\r\n") if self.crlf else text
        return text.encode("utf-8-sig" if self.bom else "utf-8")


class Project:
    """A directory; what a name leads to outside of it is refused."""

    def __init__(self, path: str) -> None:
        self.path = Path(os.path.realpath(path))
        if not self.path.is_dir():
            raise Refused(f"--project {path}: expected a directory that exists")

    def target(self, name: str) -> Path:
        """Return the real path of `name`, every symlink followed."""
        real = Path(os.path.realpath(self.path / name))
        if not real.is_relative_to(self.path):
            raise Refused(f"{name} leads out of the project {self.path}, to {real}")
        if real.is_relative_to(ROOT):
            raise Refused(f"{name} is in the skill itself: say --project YOUR_PROJECT")
        for parent in real.parents:
            if parent.exists() and not parent.is_dir():
                raise Refused(f"{name} needs a directory, but {parent} is a file")
        if real.exists() and not real.is_file():
            raise Refused(f"{name} exists and is not a file: move it away")
        return real

    def raw(self, name: str) -> str | None:
        """Return the text of a file as it is, or None where there is none."""
        file = self.target(name)
        try:
            return file.read_bytes().decode("utf-8") if file.exists() else None
        except UnicodeDecodeError:
            raise Refused(
                f"{name} is not UTF-8 and cannot be compared: convert it"
            ) from None

    def copy(self, name: str) -> Copy | None:
        raw = self.raw(name)
        return None if raw is None else Copy.parse(raw)

    def copies(self, pack: Pack) -> dict[str, Copy]:
        """Return every file below that begins with the pack's stamp, by path."""
        found = {}
        homes = {self.path.parent: ""}
        for folder, folders, files in os.walk(self.path):
            here = Path(folder)
            homes[here] = homes[here.parent]
            if "pyproject.toml" in files and here != self.path:
                homes[here] = here.relative_to(self.path).as_posix()
            folders[:] = sorted(
                name
                for name in folders
                if name not in PRUNED
                and (not name.startswith(".") or name == ".github")
                and not (here / name / "pyvenv.cfg").exists()
            )
            for file in (here / name for name in sorted(files)):
                if file.suffix in COMMENT and stamped(file, pack.name):
                    path = file.relative_to(self.path).as_posix()
                    if (copy := self.copy(path)) and copy.stamp:
                        found[path] = replace(copy, home=homes[here])
        return found

    def write(self, name: str, content: bytes) -> None:
        """Put `content` there, whole or not at all, directories included."""
        target = self.target(name)
        made = [folder for folder in target.parents if not folder.exists()]
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, "xb") as file:
                file.write(content)
            if target.exists():
                shutil.copymode(target, partial)
            os.replace(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            for folder in made:
                if folder.exists():
                    folder.rmdir()
            raise


def stamped(file: Path, name: str) -> bool:
    """Tell whether a file looks like a copy, without reading more than a line."""
    if file.is_symlink() or not file.is_file():
        return False
    with open(file, "rb") as opened:
        return f"From {name} ".encode() in opened.readline(300)
