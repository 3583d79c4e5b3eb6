"""The wheel, built once, and a fresh environment that it is installed in."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import pytest

from tests.servers import free_port, stop_process, tail
from tests.servers.redis_server import RedisServer

from .visitor import Visitor, wait_until

PROJECT = Path(__file__).parents[2]
NOT_COPIED = (".*", "build", "dist", "instance", "*.egg-info", "node_modules")
BUILD_SECONDS = 90
COMMAND_SECONDS = 60
# The env.py that Flask-Migrate 4 writes asks Flask-SQLAlchemy in a deprecated way.
WARNINGS = "error,ignore:'get_engine' is deprecated:DeprecationWarning"


@dataclass(frozen=True)
class Wheels:
    """The wheel from the tree, and the one from the sdist."""

    tree: Path
    wheel: Path
    wheel_from_sdist: Path

    def files(self, wheel: Path) -> dict[str, bytes]:
        """What is in a wheel, without the list that differs by its own checksums."""
        with zipfile.ZipFile(wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


class Commands:
    """The process that all ``flask`` commands of the shop are forked from, begun with the first.

    Each would import everything anew, which takes a second of a core.
    """

    def __init__(self, python: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._start = partial(
            subprocess.Popen,
            [python, "commands.py"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        """Run one; return its exit status and what it printed."""
        self._process = self._process or self._start()
        printed = self._folder / "printed.txt"
        printed.unlink(missing_ok=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps((words, environment, str(printed))), file=self._process.stdin, flush=True)
        status = self._process.stdout.readline()
        return int(status), printed.read_text()

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate()


@dataclass(frozen=True)
class Shop:
    """The second host app in its own folder, run by a Python that has the wheel alone."""

    python: Path
    folder: Path
    redis_url: str

    @cached_property
    def commands(self) -> Commands:
        """Where its commands run."""
        return Commands(self.python, self.folder, self.variables())

    def run(self, *arguments: str, status: int = 0, **environment: str) -> str:
        """Run Python in the shop's folder; return what it printed, errors too."""
        done = subprocess.run(
            [self.python, *arguments],
            cwd=self.folder,
            env=self.variables(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def flask(self, *arguments: str, status: int = 0, **environment: str) -> str:
        """Run a ``flask`` command of the shop; return what it printed, errors too."""
        found, printed = self.commands(arguments, environment)
        assert found == status, printed
        return printed

    def variables(self, **more: str) -> dict[str, str]:
        """The environment: nothing that would lead Python back to the source tree."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        where = {"SHOP_FOLDER": str(self.folder), "SHOP_REDIS": self.redis_url}
        return kept | where | {"PYTHONWARNINGS": WARNINGS} | more


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    """Both wheels, built from a copy: building writes into the folder that it builds from.

    Compiled files are copied too, to see that they stay outside.
    """
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    shutil.copytree(PROJECT, tree, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (tree / "smtp_admin" / "__pycache__").mkdir(exist_ok=True)
    (tree / "smtp_admin" / "__pycache__" / "stray.cpython-311.pyc").write_bytes(b"stray")
    other = shutil.copytree(tree, folder / "other")
    build = [sys.executable, "-m", "build", "--no-isolation"]
    with (folder / "log").open("w") as log:
        running = [
            subprocess.Popen([*build, *more], stdout=log, stderr=log)
            for more in (
                ("--wheel", "--outdir", str(folder / "direct"), str(tree)),
                ("--outdir", str(folder / "by-sdist"), str(other)),  # the sdist, then from it
            )
        ]
        statuses = [one.wait(BUILD_SECONDS) for one in running]
    assert statuses == [0, 0], (folder / "log").read_text()
    (direct,) = (folder / "direct").glob("*.whl")
    (by_sdist,) = (folder / "by-sdist").glob("*.whl")
    assert list((folder / "by-sdist").glob("*.tar.gz"))
    return Wheels(tree, direct, by_sdist)


@pytest.fixture(scope="session")
def python(wheels: Wheels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the wheel installed, and from elsewhere its dependencies only.

    They come by a .pth file from the environment that runs the tests. Python does not read the
    .pth files in a folder that was named by one, so the editable install there has no effect.
    """
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    found = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(found), "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-index", "--no-deps", wheels.wheel], check=True
    )
    (packages,) = (folder / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return found


@pytest.fixture(scope="module")
def shop(
    python: Path, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """The second host, with an empty database for each branch."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(Path(__file__).with_name("second"), folder, dirs_exist_ok=True)
    redis_server.start()
    redis_server.flush()
    shop = Shop(python, folder, redis_server.url.removesuffix("/0"))
    yield shop
    shop.commands.close()


@pytest.fixture(scope="module")
def shop_url(shop: Shop) -> Iterator[str]:
    """The shop's web server, both branches migrated."""
    for branch in ("north", "south"):
        shop.flask("smtp-admin", "db", "upgrade", SHOP_BRANCH=branch)
        shop.flask("make-tables", SHOP_BRANCH=branch)
    port = free_port()
    with (shop.folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [shop.python, "shop.py", str(port)],
            cwd=shop.folder,
            env=shop.variables(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or Visitor(url).get("/").status == 200)
        assert process.poll() is None, tail(shop.folder / "web.log")
        yield url
    finally:
        stop_process(process)
