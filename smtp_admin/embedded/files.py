"""Files that only their owner may read, written so that nobody ever sees half of one."""

import os
import tempfile
from pathlib import Path


def private_folder(folder: Path) -> Path:
    """The folder, made if it is missing, closed to other users because it holds secrets."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Replace the file in one step, because other processes read it meanwhile."""
    # mkstemp makes the file with mode 0600, before there is anything in it.
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
