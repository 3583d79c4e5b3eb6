"""Our static files, at addresses that change with their content: a browser asks for each once.

A page has ten of them, modules that import each other among them, so the version is a folder in the
path: what a script imports beside itself has it too.
"""

import re
from functools import cache
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, current_app

from smtp_admin import resources

_DIGITS = 12
_VERSION = re.compile(rf"[0-9a-f]{{{_DIGITS}}}", re.ASCII)
_YEAR_SECONDS = 365 * 86400


class WithStaticFiles(Blueprint):
    """A blueprint that serves our static files.

    While a new release is rolled out, a page may come from one process and its files from another:
    each answers for the version of the other with its own files, and has them asked for again.
    """

    def __init__(self, name: str, import_name: str, **options: Any) -> None:
        super().__init__(
            name,
            import_name,
            static_folder=str(resources.folder("static")),
            static_url_path="/static",
            **options,
        )
        self.url_defaults(_add_version)

    def send_static_file(self, filename: str) -> Response:
        """The file; of the present version it is kept for a year, else as the app has it."""
        version, _, rest = filename.partition("/")
        if not _VERSION.fullmatch(version):
            return super().send_static_file(filename)
        answer = super().send_static_file(rest)
        if version == _present_version():
            answer.cache_control.no_cache = None
            answer.cache_control.max_age = _YEAR_SECONDS
            # Not by caches that people share: some apps renew a session's cookie with each answer.
            answer.cache_control.private = answer.cache_control.immutable = True
        return answer


def _add_version(endpoint: str, values: dict[str, Any]) -> None:
    # In debug mode files change while the app runs.
    if endpoint.endswith(".static") and "filename" in values and not current_app.debug:
        values["filename"] = f"{_present_version()}/{values['filename']}"


@cache
def _present_version() -> str:
    folder, digest = resources.folder("static"), sha256()
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        digest.update(f"{path.relative_to(folder)}\0".encode() + sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_DIGITS]
