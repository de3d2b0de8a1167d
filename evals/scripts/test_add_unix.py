"""Evals for scripts/add.py with what only POSIX has: links, pipes, modes, limits."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from evals.harness.small_pack import SmallPack, refused


@pytest.fixture
def pack(tmp_path: Path) -> SmallPack:
    return SmallPack(tmp_path)


def test_it_works_through_a_symlink_to_the_skill(
    pack: SmallPack, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(pack.root, target_is_directory=True)

    assert pack.add("base", script=linked / "scripts/add.py").code == 0


def test_it_writes_nothing_into_the_skill(pack: SmallPack) -> None:
    before = {k: v for k, v in pack.everything().items() if str(pack.root) in k}
    for path in [pack.root, *pack.root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    # Without -I and -S, which is how people run it.
    command = [sys.executable, str(pack.script), "session", "--agents-block"]
    done = subprocess.run(command, cwd=pack.project, check=False)
    after = {k: v for k, v in pack.everything().items() if str(pack.root) in k}
    for path in [pack.root, *pack.root.rglob("*")]:
        path.chmod(0o755)

    assert (done.returncode, after) == (0, before)


@pytest.mark.parametrize("link", ["app", "app/db", "app/db/base.py"])
def test_a_symlink_that_leads_out_is_refused_at_any_depth(
    pack: SmallPack, tmp_path: Path, link: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "base.py").write_text("MINE = 1\n", encoding="utf-8")
    source = pack.project / link
    source.parent.mkdir(parents=True, exist_ok=True)
    source.symlink_to(outside / "base.py" if link.endswith(".py") else outside)

    assert "leads out of the project" in refused(pack, "base", "url")
    assert sorted(os.listdir(outside)) == ["base.py"]


def test_a_symlink_to_nothing_outside_is_refused(
    pack: SmallPack, tmp_path: Path
) -> None:
    (pack.project / "app").symlink_to(tmp_path / "nowhere")
    assert "leads out of the project" in refused(pack, "base")


def test_a_symlink_that_stays_inside_is_followed(pack: SmallPack) -> None:
    (pack.project / "src").mkdir()
    (pack.project / "app").symlink_to("src")
    assert pack.add("base").code == 0
    assert (pack.project / "src/db/base.py").exists()
    assert (pack.project / "app").is_symlink()


def test_a_symlink_to_itself_is_refused(pack: SmallPack) -> None:
    (pack.project / "app").symlink_to("app")
    done = pack.add("base")
    assert (done.code, done.out) == (2, "")


def test_a_pipe_in_the_place_of_the_file_is_refused(pack: SmallPack) -> None:
    (pack.project / "app/db").mkdir(parents=True)
    os.mkfifo(pack.project / "app/db/base.py")
    done = pack.add("base", "--into", "app/db")
    assert (done.code, "is not a file" in done.err) == (2, True)


def test_a_write_that_fails_leaves_nothing_behind(pack: SmallPack) -> None:
    def no_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    before = pack.everything()
    done = pack.add("base", preexec_fn=no_space)

    assert done.code == 2
    assert "File too large" in done.err
    assert pack.everything() == before


def test_a_failed_update_leaves_the_old_file_whole(pack: SmallPack) -> None:
    pack.add("base")
    pack.write({"snippets/base.py": "x = 1\n" * 100})

    def no_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    before = pack.everything()
    assert pack.add("--update", preexec_fn=no_space).code == 2
    assert pack.everything() == before
    assert pack.add("--update").code == 0


def test_a_name_too_long_for_the_disk_is_one_line(pack: SmallPack) -> None:
    assert "File name too long" in refused(pack, "base", "--into", "x" * 300)


def test_no_block_is_written_outside_the_project(
    pack: SmallPack, tmp_path: Path
) -> None:
    (tmp_path / "AGENTS.md").write_text("# Theirs\n", encoding="utf-8")
    (pack.project / "AGENTS.md").symlink_to(tmp_path / "AGENTS.md")

    assert pack.add("--agents-block").code == 2
    assert pack.add("--agents-block=../CLAUDE.md").code == 2
    assert (tmp_path / "AGENTS.md").read_text(encoding="utf-8") == "# Theirs\n"


def test_a_skill_that_is_linked_into_the_project_is_named_by_the_link(
    pack: SmallPack,
) -> None:
    link = pack.project / ".claude/skills/async-sqlalchemy"
    link.parent.mkdir(parents=True)
    link.symlink_to(pack.root, target_is_directory=True)
    script = Path(".claude/skills/async-sqlalchemy/scripts/add.py")
    pack.add("--agents-block", script=script)

    assert "(`.claude/skills/async-sqlalchemy/`)" in pack.read("AGENTS.md")


def test_a_new_copy_has_the_permissions_of_any_new_file(pack: SmallPack) -> None:
    mask = os.umask(0o027)
    try:
        pack.add("base")
    finally:
        os.umask(mask)
    mode = (pack.project / "app/db/base.py").stat().st_mode
    assert stat.S_IMODE(mode) == 0o640


def test_a_link_to_nowhere_is_no_copy(pack: SmallPack) -> None:
    (pack.project / "broken.py").symlink_to("nowhere.py")
    os.mkfifo(pack.project / "pipe.py")
    assert pack.add("base", "--json").statuses == {"app/db/base.py": "added"}


def test_an_updated_copy_keeps_its_permissions(pack: SmallPack) -> None:
    pack.add("base")
    file = pack.project / "app/db/base.py"
    file.chmod(0o640)
    pack.write({"snippets/base.py": "BASE = 2\n"})
    assert pack.add("--update").code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
