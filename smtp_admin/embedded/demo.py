"""Runs an example app on one machine: Redis, inbox, web page and worker, until Ctrl-C."""

import fcntl
import http.client
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from smtp_admin.database import session
from smtp_admin.embedded.local import LocalServices
from smtp_admin.embedded.parent_watch import die_with
from smtp_admin.embedded.ports import LOOPBACK, answers, is_free
from smtp_admin.embedded.redis import is_ready, redis_command
from smtp_admin.embedded.supervisor import Stop, Supervisor
from smtp_admin.sandbox import site

_PORT = 5000


def run_demo(module: Path, folder: Path, prepare: Callable[[], str], *, ready_path: str) -> int:
    """Run the app factory ``create_app`` of *module* with everything it needs.

    Args:
        module: the file with ``create_app``; its folder becomes the working directory.
        folder: the instance folder, passed on as the environment variable ``INSTANCE``.
        prepare: makes the database ready, while only Redis runs; returns what to print when
            all processes do: the logins.
        ready_path: a page that answers 200 as soon as the app works.

    Returns:
        The exit status: 0 if somebody asked to stop, 1 if something failed.
    """
    if "MAKELEVEL" in os.environ:
        die_with(os.getppid(), signal.SIGTERM)  # `make run` that is killed takes us along
    try:
        # The folder is let go of last, when all that uses it has ended.
        with ExitStack() as held, Supervisor() as supervisor:
            held.enter_context(_only_one(folder))
            port = _web_port()
            local = LocalServices(folder)
            local.choose_ports()
            _start_redis(supervisor, local)
            logins = prepare()
            _start(supervisor, local, module, port, ready_path)
            supervisor.say(_announcement(local, port, logins))
            supervisor.wait()
    except Stop as stop:
        return stop.status
    except (RuntimeError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program for the terminal
        return 1


def move_in() -> None:
    """Let this app send from wherever its page is now; call it inside an app context.

    Elsewhere a process under a new address sends nothing, because it may be a copy. A demo is
    moved to another port again and again, and its mail reaches nobody.
    """
    if site.add(session(), site.own_address()):
        session().commit()
        site.forget()


def _start_redis(supervisor: Supervisor, local: LocalServices) -> None:
    supervisor.start(
        "redis",
        redis_command(local.folder / "redis", local.redis_port, local.secrets.redis_password),
        ready=lambda: is_ready(local.redis_url),
        hint=f"See {local.folder / 'redis' / 'redis.log'}.",
    )


def _start(
    supervisor: Supervisor, local: LocalServices, module: Path, port: int, ready_path: str
) -> None:
    python = [sys.executable, "-m"]
    app = module.stem
    environment = {"INSTANCE": str(local.folder.absolute())}

    def start(name: str, *arguments: str, ready: Callable[[], bool] | None = None) -> None:
        supervisor.start(
            name,
            [*python, *arguments],
            ready=ready,
            environment=environment,
            folder=module.parent,
        )

    start(
        "inbox",
        *("smtp_admin.embedded.inbox", environment["INSTANCE"], "--port", str(local.inbox_port)),
        ready=lambda: answers(local.inbox_port),
    )
    start("worker", "flask", "--app", app, "smtp-admin", "worker")
    start(
        "web",
        *("waitress", f"--listen={LOOPBACK}:{port}", "--threads=8", "--ident="),
        *("--call", f"{app}:create_app"),
        ready=lambda: _answers_ok(port, ready_path),
    )


def _web_port() -> int:
    text = os.environ.get("PORT") or str(_PORT)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):  # noqa: PLR2004
        raise Stop(f"PORT must be a number from 1 to 65535, not {text!r}.", 1)
    port = int(text)
    if not is_free(port):
        other = next((one for one in range(port + 1, 65536) if is_free(one)), 5001)
        raise Stop(
            f"Port {port} is taken, or not allowed for you. "
            f"Choose another one: PORT={other} make run",
            1,
        )
    return port


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "running.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go of by the kernel, always
        except BlockingIOError:
            raise Stop(
                f"It is already running from {folder}. For a second one use another "
                "folder: INSTANCE=instance/second PORT=5001 make run",
                1,
            ) from None
        yield


def _answers_ok(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _announcement(local: LocalServices, port: int, logins: str) -> str:
    settings = "\n".join(f"  {name:<10}{value}" for name, value in local.inbox_settings.items())
    return (
        f"\nhttp://{LOOPBACK}:{port}/\n\nDemo logins:\n{logins}\n\n"
        f"Local test inbox, to type into an SMTP tab:\n{settings}\n"
        "  It refuses gone@… and full@…, and thinks about slow@…\n\n"
        f"In another terminal:\n{_commands(local, port)}\n"
        "  doctor finds what the demo shows on purpose: a wrong password, a paused sender,\n"
        "  no system sender, and an address that only this machine reaches\n\n"
        "Ctrl-C stops everything.\n"
    )


def _commands(local: LocalServices, port: int) -> str:
    """How to ask the running example from a terminal; folder and port are named where they must be.

    Without the port a command would take this database for a copy, and offer to cancel its mail.
    """
    flask = Path(sys.executable).with_name("flask")
    where = os.environ.get("INSTANCE")
    before = f"INSTANCE={shlex.quote(str(local.folder))} " if where else ""
    before += f"PORT={port} " if port != _PORT else ""
    name = flask.relative_to(Path.cwd()) if flask.is_relative_to(Path.cwd()) else flask
    start = f"  {before}{name} --app wsgi smtp-admin"
    return "\n".join(f"{start} {one}" for one in ("doctor", "senders list", "mail list"))
