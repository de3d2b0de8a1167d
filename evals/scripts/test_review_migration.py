"""Evals for scripts/review_migration.py: what it says of each revision, and how."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

from evals.harness.project import Project
from scripts import review_migration
from scripts.reviewing.rules import RULES, VERDICTS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/review_migration.py"
OWN = Path(__file__).parent / "revisions/own"
EXIT = {"safe": 0, "cannot-judge": 4, "destroys-data": 3}
LABELS: dict[str, list[str]] = tomllib.loads(
    (OWN / "labels.toml").read_text(encoding="utf-8")
)


@dataclass
class Review:
    """What one run said."""

    code: int
    stdout: str
    stderr: str
    report: dict[str, Any] = field(default_factory=dict)

    def rules(self, *, notes: bool = False) -> set[str]:
        return {
            reason["rule"]
            for reason in self.reasons()
            if notes or reason["verdict"] != "safe"
        }

    def reasons(self) -> list[dict[str, str]]:
        operations = [
            operation
            for revision in self.report["revisions"]
            for operation in revision["operations"]
        ]
        found = [reason for op in operations for reason in op["reasons"]]
        return [*found, *self.report["chain"]]

    def chain(self) -> set[str]:
        return {fault["rule"] for fault in self.report["chain"]}


def run(
    *args: str | Path, stdin: bytes | None = None, cwd: Path | None = None
) -> Review:
    """Run the script as an agent does, with an empty environment of Python's."""
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", str(SCRIPT), *map(str, args)],
        input=stdin if stdin is not None else b"",
        capture_output=True,
        cwd=cwd,
        timeout=120,
        check=False,
    )
    out = done.stdout.decode("utf-8")
    report = json.loads(out) if "--json" in args and out else {}
    return Review(done.returncode, out, done.stderr.decode("utf-8"), report)


def revision(
    upgrade: str,
    downgrade: str = "raise NotImplementedError",
    *,
    name: str = "b",
    down: str | None = "a",
    module: str = "",
) -> str:
    """Return a revision file with these bodies."""
    bodies = [
        f"def {verb}() -> None:\n{indent(dedent(body).strip(), '    ')}\n"
        for verb, body in (("upgrade", upgrade), ("downgrade", downgrade))
    ]
    head = "import sqlalchemy as sa\nfrom alembic import op\n"
    ids = f"revision = {name!r}\ndown_revision = {down!r}\n"
    return "\n\n".join([head + dedent(module), ids, *bodies])


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    path = tmp_path / "versions"
    path.mkdir()
    return path


def write(versions: Path, *texts: str) -> list[Path]:
    """Write revisions, and return their files in the same order."""
    paths = [versions / f"{at:02d}.py" for at in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def judged(versions: Path, upgrade: str, **options: Any) -> Review:
    """Review one revision with this upgrade()."""
    [path] = write(versions, revision(upgrade, **options))
    return run(path, "--json")


# --- the corpus ---


@pytest.mark.parametrize("name", sorted(LABELS))
def test_a_revision_of_the_corpus_raises_the_rules_that_it_must_and_no_other(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = review_migration.main([str(OWN / f"{name}.py"), "--json"])
    review = Review(code, "", "", json.loads(capsys.readouterr().out))
    assert sorted(review.rules()) == sorted(LABELS[name])
    verdicts = {RULES[rule].verdict for rule in LABELS[name]} | {"safe"}
    worst = max(verdicts, key=VERDICTS.index)
    assert review.report["verdict"] == worst
    assert review.code == EXIT.get(worst, 1)


def test_the_corpus_is_labelled_and_large_enough() -> None:
    assert {path.stem for path in OWN.glob("*.py")} == {*LABELS}
    assert len(LABELS) >= 60
    assert sum(1 for rules in LABELS.values() if not rules) >= 20


def test_each_rule_says_why_and_what_instead_on_a_page_that_exists() -> None:
    for name, rule in RULES.items():
        assert rule.verdict in VERDICTS
        assert (ROOT / f"references/{rule.page}.md").is_file(), name
        assert rule.why, name
        assert rule.instead, name
        assert not rule.why.endswith("."), name


def test_every_rule_is_raised_by_the_corpus_or_by_an_eval() -> None:
    evals = "\n".join(
        path.read_text(encoding="utf-8")
        for path in Path(__file__).parent.glob("test_review_migration*.py")
    )
    raised = {rule for rules in LABELS.values() for rule in rules}
    missing = [
        name for name in RULES if name not in raised and f'"{name}"' not in evals
    ]
    assert missing == []


NOTES = {
    "unnamed-in-table": """
        op.create_table("a", sa.Column("n", sa.Integer()), sa.CheckConstraint("n > 0"))
        """,
    "check-assumed": """
        op.alter_column("a", "n", existing_type=sa.Integer(), nullable=False)
        op.drop_constraint("a_n_not_null", "a", type_="check")
        """,
    "reads-data": """
        names = op.get_bind().execute(sa.text("SELECT name FROM a")).all()
        """,
    "not-resumable": """
        with op.get_context().autocommit_block():
            op.execute("ALTER TYPE kind ADD VALUE 'c'")
        """,
}


@pytest.mark.parametrize("rule", NOTES)
def test_a_note_is_said_and_stops_nobody(rule: str, versions: Path) -> None:
    review = judged(versions, NOTES[rule])
    assert (review.code, review.rules(notes=True)) == (0, {rule})
    assert "note: " in run(versions / "00.py").stdout


# --- the whole verdict ---


def test_what_destroys_data_goes_before_what_cannot_be_judged(versions: Path) -> None:
    review = judged(versions, 'op.drop_table("a")\nop.execute("DO $$ x $$")')
    assert review.rules() == {"table-dropped", "unread-sql"}
    assert (review.code, review.report["stop"]) == (3, True)


def test_what_cannot_be_judged_goes_before_what_locks(versions: Path) -> None:
    review = judged(
        versions, 'op.create_index("x", "a", ["b"])\nop.execute("DO $$ x $$")'
    )
    assert (review.code, review.report["stop"]) == (4, True)


def test_text_and_json_say_the_same(versions: Path) -> None:
    [path] = write(versions, revision('op.create_index("ix", "author", ["name"])'))
    text, data = run(path), run(path, "--json")
    assert (text.code, data.code) == (1, 1)
    [reason] = data.reasons()
    for part in ("rule", "why", "instead", "page"):
        assert reason[part] in text.stdout
    assert "create_index author.ix" in text.stdout
    assert data.report["revisions"][0]["operations"][0]["line"] == 10
    assert "line 10" in text.stdout
    assert text.stderr == data.stderr
    assert "safe" not in text.stdout.splitlines()[1]


def test_nothing_to_stop_for_is_said_in_one_line(versions: Path) -> None:
    [path] = write(versions, revision('op.add_column("a", sa.Column("b", sa.Text()))'))
    review = run(path)
    assert review.code == 0
    assert review.stdout == f"{path} (b): safe\n  1 safe\n"


def test_the_help_names_each_verdict_and_each_exit_code() -> None:
    manual = run("--help").stdout
    for verdict in VERDICTS:
        assert f"  {verdict} " in manual
    for code in (0, 1, 2, 3, 4):
        assert f"\n  {code}  " in manual


# --- what is reviewed ---

CHAIN = (
    revision(
        """
        op.create_table("shop", sa.Column("id", sa.Integer(), primary_key=True))
        """,
        'op.drop_table("shop")',
        name="a1",
        down=None,
    ),
    revision(
        'op.add_column("shop", sa.Column("name", sa.Text(), nullable=False))',
        'op.drop_column("shop", "name")',
        name="b2",
        down="a1",
    ),
    revision(
        'op.create_index("ix_shop_name", "shop", ["name"])',
        'op.drop_index("ix_shop_name", "shop")',
        name="c3",
        down="b2",
    ),
)


def test_the_whole_directory_is_judged_revision_by_revision(versions: Path) -> None:
    write(versions, *CHAIN)
    review = run(versions, "--json")
    assert review.rules() == {
        "not-null-without-default",
        "insert-blocked",
        "index-build",
    }
    assert [r["revision"] for r in review.report["revisions"]] == ["a1", "b2", "c3"]


def test_tables_of_the_same_deploy_are_empty(versions: Path) -> None:
    paths = write(versions, *CHAIN)
    assert run(*paths, "--json").code == 0
    assert run(versions, "--since", "base", "--json").code == 0
    assert run(versions, "--since", "a1", "--json").rules() == {
        "not-null-without-default",
        "insert-blocked",
        "index-build",
    }
    assert run(versions, "--since", "b", "--json").rules() == {"index-build"}
    review = run(versions, "--since", "c3", "--json")
    assert (review.code, review.report["revisions"]) == (0, [])


def test_the_other_revisions_are_known_and_not_judged(versions: Path) -> None:
    paths = write(versions, *CHAIN)
    review = run(paths[2], "--json")
    assert [r["revision"] for r in review.report["revisions"]] == ["c3"]
    assert review.rules() == {"index-build"}


def test_a_list_of_changed_files_is_one_deploy(versions: Path) -> None:
    paths = write(versions, *CHAIN)
    names = "\n".join(["README.md", "gone.py", *map(str, paths)])
    review = run("--files-from", "-", "--json", stdin=names.encode())
    assert review.code == 0
    assert len(review.report["revisions"]) == 3


def test_an_empty_list_of_changed_files_is_nothing_to_stop_for() -> None:
    review = run("--files-from", "-", "--json", stdin=b"")
    assert (review.code, review.report["revisions"]) == (0, [])


def test_the_project_s_own_directory_is_found(tmp_path: Path) -> None:
    versions = tmp_path / "db/versions"
    versions.mkdir(parents=True)
    write(versions, *CHAIN)
    ini = tmp_path / "alembic.ini"
    ini.write_text("[alembic]\nscript_location = %(here)s/db\n", encoding="utf-8")
    assert len(run("--json", cwd=tmp_path).report["revisions"]) == 3
    ini.unlink()
    assert run("--json", cwd=tmp_path).code == 2
    versions.rename(tmp_path / "versions")
    (tmp_path / "migrations").mkdir()
    (tmp_path / "versions").rename(tmp_path / "migrations/versions")
    assert len(run("--json", cwd=tmp_path).report["revisions"]) == 3


def test_a_downgrade_is_judged_when_it_is_asked_for(versions: Path) -> None:
    paths = write(versions, *CHAIN)
    review = run(paths[1], "--downgrade", "--json")
    assert review.rules() == {"column-dropped"}
    assert review.code == 3
    assert run(paths[0], "--downgrade", "--json").rules() == {"table-dropped"}


def test_one_database_may_be_chosen(versions: Path) -> None:
    batch = """
    with op.batch_alter_table("shop") as batch_op:
        batch_op.create_unique_constraint("uq_shop_name", ["name"])
    """
    [path] = write(versions, revision(batch))

    def rules(database: str) -> set[str]:
        return run(path, "--database", database, "--json").rules()

    assert rules("postgresql") == {"unique-builds"}
    assert rules("sqlite") == {"sqlite-recreate"}
    assert rules("both") == {"unique-builds", "sqlite-recreate"}


def test_sqlite_needs_batch_mode_when_sqlite_is_asked_for(versions: Path) -> None:
    plain = """
    op.create_unique_constraint("uq_shop_name", "shop", ["name"])
    op.add_column("shop", sa.Column("at", sa.Date(), server_default=sa.func.now()))
    """
    [path] = write(versions, revision(plain))
    assert run(path, "--json").rules() == {"unique-builds"}
    review = run(path, "--database", "sqlite", "--json")
    assert review.rules() == {"sqlite-needs-batch", "sqlite-default"}


# --- the chain ---


def step(name: str, down: object) -> str:
    ids = f"revision = {name!r}\ndown_revision = {down!r}\n"
    body = 'op.add_column("a", sa.Column("b", sa.Text()))'
    text = revision(body, name=name, down="")
    return text.replace(f"revision = {name!r}\ndown_revision = ''\n", ids)


def test_two_heads_are_seen_and_a_merge_ends_them(versions: Path) -> None:
    write(versions, step("a", None), step("b", "a"), step("c", "a"))
    review = run(versions, "--json")
    assert review.chain() == {"several-heads"}
    assert "b, c" in review.report["chain"][0]["why"]
    (versions / "merge.py").write_text(step("d", ("b", "c")), encoding="utf-8")
    assert run(versions, "--json").chain() == set()


def test_a_missing_link_is_seen(versions: Path) -> None:
    write(versions, step("a", None), step("c", "b"))
    assert run(versions, "--json").chain() == {"broken-chain", "several-heads"}


def test_a_copied_revision_id_is_seen(versions: Path) -> None:
    write(versions, step("a", None), step("a", None))
    assert run(versions, "--json").chain() == {"duplicate-revision"}


def test_a_circle_is_seen_and_still_judged(versions: Path) -> None:
    write(versions, step("a", "b"), step("b", "a"))
    review = run(versions, "--json")
    assert review.chain() == {"cycle"}
    assert len(review.report["revisions"]) == 2


# --- bad input ---

MALFORMED = {
    "a syntax error": b"revision = 'x'\ndef upgrade() -> None\n    pass\n",
    "not utf-8": b"revision = 'x'\nname = 'caf\xe9'\n",
    "null bytes": b"revision = 'x'\x00\n",
    "no python at all": b"\x89PNG\r\n\x1a\n\xff\xff",
    "a wrong coding line": b"# coding: nonsense\nrevision = 'x'\n",
    "nested without end": b"revision = 'x'\nx = " + b"(" * 5000 + b")" * 5000,
    "deep in attributes": b"revision = 'x'\nx = a" + b".b" * 60000,
    "a long sum": b"revision = 'x'\nx = " + b"1+" * 60000 + b"1",
    "much too long": b"revision = 'x'\n" + b"# x\n" * 600_000,
    "no revision": b"NAME = 'a module beside the revisions'\n",
    "empty": b"",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_a_verdict_and_no_crash(name: str, versions: Path) -> None:
    path = versions / "x.py"
    path.write_bytes(MALFORMED[name])
    review = run(path, "--json")
    assert review.code == 4, review.stderr
    assert review.rules() == {"unread-file"}
    assert "Traceback" not in review.stderr
    assert str(path) == review.report["revisions"][0]["file"]


def test_a_malformed_file_hides_no_other(versions: Path) -> None:
    write(versions, *CHAIN)
    (versions / "bad.py").write_bytes(MALFORMED["a syntax error"])
    review = run(versions, "--json")
    assert review.code == 4
    assert {"unread-file", "index-build"} <= review.rules()


def test_a_module_beside_the_revisions_is_no_revision(versions: Path) -> None:
    write(versions, *CHAIN)
    (versions / "helpers.py").write_bytes(MALFORMED["no revision"])
    assert len(run(versions, "--json").report["revisions"]) == 3


def test_a_declared_encoding_is_honoured(versions: Path) -> None:
    text = "# coding: latin-1\n" + revision('op.drop_table("café")')
    (versions / "x.py").write_bytes(text.encode("latin-1"))
    review = run(versions / "x.py", "--json")
    assert review.report["revisions"][0]["operations"][0]["operation"].endswith("café")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["missing.py"], "missing.py does not exist"),
        (["."], "holds no revision"),
        ([], "no versions directory here"),
        (["--sql", "missing.sql"], "missing.sql cannot be read"),
        (["--files-from", "missing"], "missing cannot be read"),
        (["--verdict", "safe"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_is_said_and_judges_nothing(
    args: list[str], said: str, tmp_path: Path
) -> None:
    review = run(*args, cwd=tmp_path)
    assert (review.code, review.stdout) == (2, "")
    assert said in review.stderr


def test_since_says_what_there_is_when_it_finds_none(versions: Path) -> None:
    paths = write(versions, *CHAIN)
    review = run(versions, "--since", "zz")
    assert review.code == 2
    assert "a1, b2, c3" in review.stderr
    assert run(paths[0], "--since", "a1").code == 2


def test_the_revision_is_never_executed(versions: Path) -> None:
    mark = versions / "mark"
    module = f"""
    from pathlib import Path

    Path({str(mark)!r}).touch()
    """
    judged(versions, f"Path({str(mark)!r}).touch()", module=module)
    assert not mark.exists()


def test_endless_helpers_and_huge_loops_end(versions: Path) -> None:
    module = """
    def again(n):
        op.add_column("a", sa.Column("b", sa.Text()))
        return again(n + 1) + other(n)

    def other(n):
        return again(n) if n else [other(i) for i in range(n)]

    MANY = [[0] * 10] * 10
    BIG = [list("0123456789")]
    """
    assert judged(versions, "again(1)", module=module).code == 0
    loops = "many = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
    loops += "\n".join(f"{'    ' * i}for i{i} in many:" for i in range(7))
    review = judged(versions, loops + "\n" + "    " * 7 + 'op.drop_table("a")')
    assert review.code == 4
    assert "does too much" in review.reasons()[0]["why"]


@pytest.mark.parametrize(
    "step", ["t = t + t", "t = f'{t}{t}'", "t = t.join([t, t])", "m = m + m", "m += m"]
)
def test_what_doubles_itself_ends(step: str, versions: Path) -> None:
    review = judged(versions, f"t, m = 'x', [0]\nfor i in {[0] * 70}:\n    {step}")
    assert review.code == 0


def test_the_warnings_of_a_revision_are_not_the_reviewer_s(versions: Path) -> None:
    review = judged(versions, 'op.execute("SELECT 1 -- \\d")')
    assert (review.code, review.stderr) == (0, "nothing to stop for\n")


def test_nothing_is_written_beside_the_skill(tmp_path: Path) -> None:
    skill = tmp_path / "skill"
    shutil.copytree(
        ROOT / "scripts", skill / "scripts", ignore=lambda *_: ["__pycache__"]
    )
    for path in [skill, *skill.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    script = skill / "scripts/review_migration.py"
    done = subprocess.run(
        [sys.executable, "-I", str(script), str(OWN / "001_create_table.py")],
        capture_output=True,
        check=False,
    )
    written = list(skill.rglob("__pycache__"))
    for path in [skill, *skill.rglob("*")]:
        os.chmod(path, 0o755)
    assert done.returncode == 0
    assert written == []


def test_a_skill_that_lacks_a_file_says_so(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / "scripts/reviewing/rules.py").unlink()
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "scripts/review_migration.py")],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"the skill is incomplete" in done.stderr


# --- generated SQL ---

GENERATED = b"""\
BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> a1

CREATE TABLE shop (
    id SERIAL NOT NULL,
    owner_id INTEGER REFERENCES owner (id),
    PRIMARY KEY (id)
);

CREATE INDEX ix_shop_owner_id ON shop (owner_id);

INSERT INTO alembic_version (version_num) VALUES ('a1');

-- Running upgrade a1 -> b2

COMMIT;

DROP INDEX CONCURRENTLY IF EXISTS ix_author_name;

CREATE INDEX CONCURRENTLY ix_author_name ON author (name);

BEGIN;

UPDATE alembic_version SET version_num='b2' WHERE alembic_version.version_num = 'a1';

-- Running upgrade b2 -> c3

ALTER TABLE author ADD COLUMN rank INTEGER NOT NULL;

DELETE FROM alembic_version WHERE alembic_version.version_num = 'b2';

COMMIT;
"""


def test_generated_sql_is_judged_revision_by_revision() -> None:
    review = run("--sql", "-", "--json", stdin=GENERATED)
    found = {
        r["revision"]: [(op["line"], op["operation"]) for op in r["operations"]]
        for r in review.report["revisions"]
    }
    assert found == {
        "a1": [(10, "create_table shop"), (16, "create_index shop.ix_shop_owner_id")],
        "b2": [
            (24, "drop_index ix_author_name"),
            (26, "create_index author.ix_author_name"),
        ],
        "c3": [(34, "add_column author.rank")],
    }
    assert review.rules() == {"not-null-without-default", "insert-blocked"}
    assert review.code == 1


def test_generated_sql_that_is_not_understood_is_not_passed() -> None:
    text = b"SELECT purge_everything();\nMERGE x;"
    review = run("--sql", "-", "--json", stdin=text)
    assert review.code == 4
    assert [r["rule"] for r in review.reasons()] == ["unread-sql", "unread-sql"]


def test_sql_that_is_no_sql_does_not_crash() -> None:
    for text in (
        b"",
        b"'",
        b"$$",
        b"((((",
        b"ALTER TABLE",
        b"ALTER TABLE a ADD",
        b"\xff;",
    ):
        assert run("--sql", "-", "--json", stdin=text).code in (0, 1, 4), text


def test_the_starter_s_revisions_and_their_sql_are_nothing_to_stop_for(
    project: Project,
) -> None:
    project.add("starter")
    review = run("--json", cwd=project.path)
    assert (review.code, len(review.report["revisions"])) == (0, 1)
    made = project.run(
        *("-m", "alembic", "upgrade", "head", "--sql"),
        env={"DATABASE_URL": "postgresql+asyncpg://app:app@127.0.0.1:1/app"},
    )
    review = run("--sql", "-", "--json", stdin=made.stdout.encode())
    [operations] = [r["operations"] for r in review.report["revisions"]]
    assert "create_table note" in [op["operation"] for op in operations]
    assert review.code == 0
