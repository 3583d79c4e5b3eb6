"""What a fresh clone installs: the pins hold what setup.cfg asks for, and all of it."""

import configparser
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
SERVED = ("postgresql", "mysql", "embedded")
#: What each file must hold: these extras, and what is always installed.
FILES = {"run": ("embedded",), "dev": (*SERVED, "dev"), "oldest": (*SERVED, "dev")}


@cache
def pins(name: str) -> dict[str, set[Version]]:
    """Each package of a file; one may have several pins, for different Pythons or systems."""
    found: dict[str, set[Version]] = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines():
        if one := line.partition("#")[0].strip():
            requirement = Requirement(one)
            (exactly,) = requirement.specifier
            assert exactly.operator == "==", line
            found.setdefault(canonicalize_name(requirement.name), set()).add(
                Version(exactly.version)
            )
    return found


def ranges(*extras: str) -> dict[str, Requirement]:
    """What setup.cfg asks for always, and with *extras*."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    lists = [setup["options"]["install_requires"]]
    lists += [setup["options.extras_require"][extra] for extra in extras]
    found = [Requirement(line) for text in lists for line in text.split("\n") if line]
    return {canonicalize_name(one.name): one for one in found if one.name != "smtp_admin"}


def shortest(version: Version) -> str:
    """*version* without the zeros at its end, so that 8.2 is 8.2.0."""
    return re.sub(r"(\.0)+$", "", ".".join(str(part) for part in version.release))


@pytest.mark.parametrize("name", FILES)
def test_pins_are_within_the_ranges(name: str) -> None:
    for package, wanted in ranges(*FILES[name]).items():
        versions = pins(name).get(package)
        assert versions, f"{name}.txt has no {package}: run `make lock`"
        for version in versions:
            assert version in wanted.specifier, f"{package}: run `make lock`"


@pytest.mark.parametrize("name", FILES)
def test_pins_can_build_the_package(name: str) -> None:
    """It is built with what is pinned; a build of its own would fetch the newest."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]
    for requirement in map(Requirement, build["requires"]):
        assert all(one in requirement.specifier for one in pins(name)[requirement.name])


def test_what_runs_is_what_is_tested() -> None:
    assert pins("run").items() <= pins("dev").items()


def test_the_oldest_are_the_lower_bounds() -> None:
    for package, wanted in ranges(*SERVED).items():
        (bound,) = (Version(one.version) for one in wanted.specifier if one.operator == ">=")
        assert {shortest(one) for one in pins("oldest")[package]} == {shortest(bound)}, package
