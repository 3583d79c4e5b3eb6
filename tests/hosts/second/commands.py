"""Runs ``flask`` commands of the shop, each forked from here, where everything is imported.

A line of JSON says which: the words after ``flask``, further variables of the environment, and the
file for what it prints. The answer is a line with its exit status.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import flask.cli

#: For those that are forked.
for name in ("shop", "alembic.command", "smtp_admin.cli.sending", "smtp_admin.worker.process"):
    import_module(name)


def run(words: Sequence[str], environment: Mapping[str, str], file: str) -> None:
    """What the forked process does; what it raises ends it."""
    for number, name in ((0, os.devnull), (1, file), (2, file)):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.update(environment)
    sys.argv = ["flask", "--app", "shop", *words]
    flask.cli.main()


def main() -> None:
    """Do what the lines say, one after the other."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(*json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
