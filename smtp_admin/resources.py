"""Where our templates, static files and migrations lie.

In a wheel they are inside the package. In a source checkout they stand beside it, because an
editable install does not see folders that are mapped in setup.cfg.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder *name*: the package's own if it has one, else the checkout's."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
