"""In which order the files of tests are read and run, and which process runs them."""

from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

__all__ = ["Scheduling", "mix", "read_own_share"]

#: Folders whose tests mostly wait: for other processes, servers, a browser.
_PATIENT = {"endurance", "hosts", "outages", "worker"}
#: How much of the run has gone by when the last file of these is begun.
_PATIENT_SHARE = 0.8
#: Files that would be the last to end, if they were begun where their name stands.
_FIRST = {"test_access.py", "test_schema.py", "test_upgrade.py", "test_template_work.py"}
#: A folder whose files share a browser and a site, and how many processes have one each.
_BROWSER = Path(__file__).parent / "browser"
_BROWSERS = 2


def read_own_share(config: pytest.Config) -> None:
    """Let each process of several begin with files of its own.

    All of them read all files. After a checkout none is compiled yet, and if all processes began
    with the same one, each would compile every file: twice what reading takes.
    """
    given: dict[str, object] = getattr(config, "workerinput", {})
    if not given:
        return
    own, count = int(str(given["workerid"]).removeprefix("gw")), int(str(given["workercount"]))
    tests = Path(__file__).parent
    asked = [config.invocation_params.dir / one.partition("::")[0] for one in config.args]
    files = sorted(file for folder in asked for file in folder.rglob("test_*.py"))
    for file in filter(lambda one: one.is_relative_to(tests), files[own::count]):
        name = ".".join(file.relative_to(tests.parent).with_suffix("").parts)
        with suppress(Exception, pytest.skip.Exception):  # it is read again, and then it is told
            import_module(name)


def mix(items: list[pytest.Item]) -> None:
    """Put files that mostly wait evenly among those that compute, and none of them last.

    Those that share a browser come first, one after the other.
    """
    files = list(dict.fromkeys(item.path for item in items))
    files.sort(key=lambda one: one.name not in _FIRST)
    seen = [one for one in files if one.parent == _BROWSER]
    places: dict[Path, float] = {one: _share(one.name) - _BROWSERS for one in seen}
    for patient, share in ((True, _PATIENT_SHARE), (False, 1.0)):
        group = [one for one in files
                 if one not in places and (one.parent.name in _PATIENT) is patient]  # fmt: skip
        places |= {one: share * number / len(group) for number, one in enumerate(group)}
    items.sort(key=lambda item: places[item.path])


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """A process takes a file after the other, and of those that share a browser a share at once."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(super()._split_scope(nodeid))
        if file.parent.name == _BROWSER.name:
            return f"{file.parent}/{_share(file.name)}"
        return str(file)


def _share(name: str) -> int:
    files = sorted(one.name for one in _BROWSER.glob("test_*.py"))
    return files.index(name) % _BROWSERS
