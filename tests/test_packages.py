"""Every room is in the wheel."""

from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_setup_names_every_package() -> None:
    """One that it leaves out works from the source, and breaks the installed package."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = set(setup["options"]["packages"].split())
    there = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for file in (ROOT / "smtp_admin").rglob("__init__.py")
    }
    assert named == there | {
        f"smtp_admin.{one}"
        for one in ("templates", "static", "migrations", "migrations.versions", "translations")
    }
