"""What the peers need, installed into ``build/bench`` and nowhere else."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.servers import Unavailable, find_program

ROOT = Path(__file__).resolve().parent.parent
_FOLDER = ROOT / "build" / "bench"
_PYTHON = _FOLDER / "python"
NODE_FOLDER = _FOLDER / "node"
_PYTHON_PACKAGES = (
    "celery[redis]",
    "flask-mail",
    "django",
    "django-anymail",
    "django-post_office",
    "psycopg[binary]",
)
#: BullMQ asks for a Redis client beside it.
_NODE_PACKAGES = ("nodemailer", "bullmq", "ioredis")
_PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
_INSTALL_SECONDS = 600


def python_of_peers() -> Path:
    """The Python that has Celery and django-post_office; made the first time.

    Raises:
        Unavailable: it cannot be had.
    """
    python = _PYTHON / "bin" / "python"
    stamp = _PYTHON / "packages.json"
    wanted = json.dumps(_PYTHON_PACKAGES)
    if stamp.exists() and stamp.read_text() == wanted and python.exists():
        return python
    _run([sys.executable, "-m", "venv", "--clear", str(_PYTHON)])
    _run(
        [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *_PYTHON_PACKAGES,
        ]
    )
    stamp.write_text(wanted)
    return python


def node() -> Path:
    """Node, with its packages in :data:`NODE_FOLDER`; installed the first time.

    Raises:
        Unavailable: it cannot be had.
    """
    program, npm = find_program("node"), find_program("npm")
    if program is None or npm is None:
        raise Unavailable("node or npm is missing (Debian: apt install nodejs npm)")
    stamp = NODE_FOLDER / "packages.json"
    wanted = json.dumps(_NODE_PACKAGES)
    if stamp.exists() and stamp.read_text() == wanted:
        return program
    NODE_FOLDER.mkdir(parents=True, exist_ok=True)
    (NODE_FOLDER / "package.json").write_text('{"private": true}\n')
    _run(
        [str(npm), "install", "--no-audit", "--no-fund", "--loglevel=error", *_NODE_PACKAGES],
        NODE_FOLDER,
    )
    stamp.write_text(wanted)
    return program


def versions(names: Sequence[str], python: Path) -> str:
    """Name and version of Python packages, for the table."""
    code = (
        "import sys, importlib.metadata as m\n"
        "print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
    )
    done = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def node_versions(names: Sequence[str], program: Path) -> str:
    """Name and version of Node and of its packages, for the table."""
    found = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    texts = [f"Node {found.stdout.strip().removeprefix('v')}"]
    for name in names:
        about = json.loads((NODE_FOLDER / "node_modules" / name / "package.json").read_text())
        texts.append(f"{name} {about['version']}")
    return ", ".join(texts)


def _run(command: list[str], folder: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{Path(command[0]).name} failed ({type(error).__name__})") from error
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        raise Unavailable(f"{Path(command[0]).name} failed: {''.join(last)[:200]}")


def processor_seconds_of(process_id: int) -> float:
    """How much processor time a process has used, in itself and for the system's calls."""
    after_name = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
