"""``make run``, seen from outside: it starts, mail goes round in it, and nothing stays behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

import pytest

from tests.prepared import Command
from tests.servers import free_port

from .visitor import Answer, Visitor, wait_until

PROJECT = Path(__file__).parents[2]
PASSWORD = "demo-demo"
TAB = "/smtp-admin/partners/acme"
STOP_SECONDS = 40


class Demo:
    """The command behind ``make run``, in a process group of its own as in a terminal.

    Args:
        prepared: whether everything is imported when it starts; for those that soon end.
    """

    def __init__(self, instance: Path, port: str, *, prepared: bool = False) -> None:
        self.instance = instance
        self.url = f"http://127.0.0.1:{port}"
        self.log = instance.with_name(f"{instance.name}-{time.monotonic_ns()}.log")
        environment = {name: text for name, text in os.environ.items() if name != "MAKELEVEL"}
        environment |= {"INSTANCE": str(instance), "PORT": port}
        self.process: Command | subprocess.Popen[bytes]
        with self.log.open("wb") as log:
            if prepared:
                self.process = Command(
                    PROJECT, output=log.fileno(), environment=environment, script="wsgi.py"
                )
                return
            self.process = subprocess.Popen(
                [sys.executable, "wsgi.py"],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for number in processes_of(self.instance):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    @property
    def printed(self) -> str:
        """What it has said so far."""
        return self.log.read_text()

    def wait_for_address(self) -> Visitor:
        """Wait until the address is printed, then find the site there."""
        wait_until(lambda: self.process.poll() is not None or "Ctrl-C" in self.printed, 60)
        assert self.process.poll() is None, self.printed
        assert f"\n{self.url}/\n" in self.printed
        visitor = Visitor(self.url)
        assert visitor.get("/sign-in").status == 200  # at once: no waiting once it was printed
        return visitor

    def interrupt(self) -> int:
        """Ctrl-C: the signal goes to the foreground's whole group. Return the exit status."""
        assert self.process.pid is not None
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(STOP_SECONDS)


def processes_of(instance: Path) -> dict[int, str]:
    """The living processes that were started for this folder, each with its command."""
    found = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            command = (entry / "cmdline").read_bytes()
            # Redis writes its title over its environment, but works in its folder.
            folder = os.fsencode((entry / "cwd").readlink())
            about = command + (entry / "environ").read_bytes() + folder
            if os.fsencode(instance) in about and command:  # a zombie has no command left
                found[int(entry.name)] = command.replace(b"\0", b" ").decode()
    return found


def sign_in(visitor: Visitor, email: str, password: str = PASSWORD) -> Answer:
    page = visitor.get("/sign-in")
    return visitor.submit(page, {"email": email, "password": password})


def local_inbox(visitor: Visitor) -> dict[str, str]:
    """The settings as the inbox page shows them, for the fields of the tab."""
    text = visitor.get("/inbox").text
    found = re.search(r"Host (\S+) Port (\d+) Security STARTTLS Login (\S+) Password (\S+)", text)
    assert found, text
    host, port, username, password = found.groups()
    return {
        "host": host,
        "port": port,
        "security": "tls",
        "username": username,
        "password": password,
        "from_email": "noreply@acme.example",
        "verify_tls": "true",
    }


def mail_with(visitor: Visitor, subject: str) -> Answer:
    """The newest mail of this subject, as soon as it is in the inbox."""

    def look() -> str | None:
        return next((url for words, url in visitor.get("/inbox").links if words == subject), None)

    return visitor.get(wait_until(look))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A running demo, started in an empty folder."""
    with Demo(tmp_path_factory.mktemp("demo") / "instance", str(free_port())) as running:
        running.wait_for_address()
        yield running


@pytest.fixture(scope="module")
def mia(demo: Demo) -> Visitor:
    """A partner's administrator, whose tab leads to the local inbox."""
    visitor = Visitor(demo.url)
    assert "Good to see you, Mia" in sign_in(visitor, "mia@acme.example").text
    saved = visitor.submit(visitor.get(TAB), local_inbox(visitor))
    assert "Saved as revision 1." in saved.text
    return visitor


def test_prints_logins_that_work(demo: Demo) -> None:
    listed = re.findall(r"^  (\S+@\S+) ", demo.printed, re.MULTILINE)
    assert len(listed) >= 5
    for email in listed:
        assert "Good to see you" in sign_in(Visitor(demo.url), email).text


def test_prints_the_settings_of_the_inbox(demo: Demo, mia: Visitor) -> None:
    shown = local_inbox(mia)
    for name, value in (("Host", "host"), ("Port", "port"), ("Password", "password")):
        assert re.search(rf"^  {name} +{re.escape(shown[value])}$", demo.printed, re.MULTILINE)


def test_sign_in_needs_password_and_token(demo: Demo) -> None:
    visitor = Visitor(demo.url)
    assert "is wrong" in sign_in(visitor, "mia@acme.example", "demo").text
    refused = visitor.post("/sign-in", {"email": "mia@acme.example", "password": PASSWORD})
    assert refused.status == 400
    assert visitor.get(TAB).url.startswith(f"{demo.url}/sign-in?next=")


def test_connection_test_names_its_stages(mia: Visitor) -> None:
    """Over a verified TLS connection: the inbox's certificate is trusted through the CA file."""
    page = mia.get(TAB)
    given = local_inbox(mia) | {"port": int(local_inbox(mia)["port"]), "verify_tls": True}
    answer = mia.post_json(f"{TAB}/test-connection", given, page.form("host").values["csrf_token"])
    assert (answer.status, answer.json["ok"]) == (200, True), answer.json
    assert " ".join(step["name"] for step in answer.json["steps"]) == (
        "validate dns connect greeting ehlo starttls tls certificate auth sender quit"
    )
    assert {step["status"] for step in answer.json["steps"]} == {"ok"}
    assert answer.json["connection"]["tls"]["verified"] is True
    wrong = mia.post_json(
        f"{TAB}/test-connection",
        given | {"password": "wrong"},
        page.form("host").values["csrf_token"],
    )
    assert (wrong.status, wrong.json["error"]["code"]) == (400, "auth_failed")


def test_worker_sends_the_test_mail(mia: Visitor) -> None:
    sent = mia.submit(mia.get(TAB), {"host": "localhost"}, f"{TAB}/test-email")
    assert "mail=" in sent.url  # saved settings: through the queue
    mail = mail_with(mia, "Test e-mail from Northwind Hosting")
    assert "Acme GmbH <noreply@acme.example>" in mail.text
    wait_until(lambda: "The server took the mail to mia@acme.example" in mia.get(sent.url).text)


def test_a_visitor_chooses_the_language(demo: Demo) -> None:
    """Remembered without scripts, for the app's pages and the plugin's, and back on the page."""
    visitor = Visitor(demo.url)
    page = visitor.get("/sign-in?next=/smtp-admin/")
    assert "Sign in" in page.text
    german = speak(visitor, page, "de")
    assert german.url == f"{demo.url}/sign-in?next=/smtp-admin/"
    assert '<html lang="de">' in german.html
    assert "Demo-Zugänge" in german.text
    visitor.submit(german, {"email": "mia@acme.example", "password": PASSWORD})
    assert "Schön, Sie zu sehen, Mia" in visitor.get("/").text
    assert "Verbindung testen" in visitor.get(TAB).text
    away = speak(visitor, german, "xx", next="//evil.example/")
    assert (away.url, '<html lang="de">' in away.html) == (f"{demo.url}/", True)
    assert "Good to see you, Mia" in speak(visitor, visitor.get("/"), "en").text


def speak(visitor: Visitor, page: Answer, language: str, **changes: str) -> Answer:
    """Press the button of a language."""
    values = page.form("next").values | {"language": language} | changes
    return visitor.post("/language", values)


def test_mail_is_in_the_language_of_its_reader(demo: Demo, mia: Visitor) -> None:
    """Whoever's browser asked for it."""
    visitor = Visitor(demo.url)
    visitor.submit(visitor.get("/forgot-password"), {"email": "dana@customer.example"})
    mail = mail_with(mia, "Neues Passwort für Northwind Hosting")
    assert "dana@customer.example" in mail.text


def test_forgotten_password(demo: Demo, mia: Visitor) -> None:
    """The mail of a customer goes out from the customer's partner; its link works once."""
    carl = Visitor(demo.url)
    asked = carl.submit(carl.get("/forgot-password"), {"email": "carl@customer.example"})
    assert "a mail with a link is on its way" in asked.text
    mail = mail_with(mia, "Set a new password for Northwind Hosting")
    assert "noreply@acme.example" in mail.text
    (link,) = {url for _, url in mail.links if "/reset-password/" in url}
    assert link.startswith(f"{demo.url}/reset-password/")
    html = mia.get(f"{mail.url}/html").html
    assert link in html
    done = carl.submit(carl.get(link), {"password": "a new password"})
    assert "The new password is set" in done.text
    assert "Good to see you" in sign_in(carl, "carl@customer.example", "a new password").text
    assert "is wrong" in sign_in(Visitor(demo.url), "carl@customer.example").text
    assert carl.get(link).status == 404


def test_partners_in_every_state(demo: Demo) -> None:
    """And what the inbox refuses shows: for good it is a dead letter, for now it waits."""
    nora = Visitor(demo.url)
    sign_in(nora, "admin@northwind.example")
    states = ("Paused by hand", "Limit reached", "Stopped until the login is corrected")
    wait_until(lambda: all(one in nora.get("/smtp-admin/partners").text for one in states))
    dead = "/api/email/status?partner_id=dead-letters"
    wait_until(lambda: '"dead":2' in nora.get(dead).html.replace(" ", ""))
    assert "Partner 40 Ltd" in nora.get("/smtp-admin/partners").text


def test_unknown_address_gets_the_same_answer(demo: Demo) -> None:
    visitor = Visitor(demo.url)
    asked = visitor.submit(visitor.get("/forgot-password"), {"email": "nobody@customer.example"})
    assert "a mail with a link is on its way" in asked.text


def test_a_printed_command_speaks_of_this_demo(demo: Demo) -> None:
    """On another port it would take the database for a copy that sends nothing."""
    (command,) = re.findall(r"^  (.* smtp-admin doctor)$", demo.printed, re.MULTILINE)
    bare = {name: text for name, text in os.environ.items() if name not in {"PORT", "INSTANCE"}}
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} --json"],
        cwd=PROJECT,
        env=bare,
        check=False,
        capture_output=True,
        text=True,
    )
    checks = {one["name"]: one["status"] for one in json.loads(done.stdout)["checks"]}
    assert checks["sandbox"] == "ok"


def test_secrets_are_for_the_owner_only(demo: Demo) -> None:
    """Nor are they in what it prints, or among the commands that everybody can list."""
    secrets = demo.instance / "secrets.json"
    assert secrets.stat().st_mode & 0o077 == 0
    assert demo.instance.stat().st_mode & 0o077 == 0
    values = json.loads(secrets.read_text())
    commands = " ".join(processes_of(demo.instance).values())
    for name, value in values.items():
        assert value not in commands
        assert name == "inbox_password" or value not in demo.printed


def test_second_start_in_the_same_folder_says_so(demo: Demo) -> None:
    second = Demo(demo.instance, str(free_port()), prepared=True)
    assert second.process.wait(STOP_SECONDS) == 1
    assert "already running" in second.printed
    assert len(second.printed.splitlines()) == 1
    assert demo.process.poll() is None


def test_interrupt_ends_everything_and_data_stay(demo: Demo, mia: Visitor) -> None:
    """The last test of this demo: Ctrl-C, look for what is left, and start again."""
    before = processes_of(demo.instance)
    for name in ("wsgi.py", "redis", "embedded.inbox", "smtp-admin worker", "waitress"):
        assert any(name in command for command in before.values()), before
    mails = len(mia.get("/inbox").links)
    assert demo.interrupt() == 0
    assert processes_of(demo.instance) == {}
    assert "Traceback" not in demo.printed

    with Demo(demo.instance, demo.url.rpartition(":")[2]) as again:
        visitor = again.wait_for_address()
        sign_in(visitor, "mia@acme.example")
        form = visitor.get(TAB).form("host").values
        assert form["host"] == "localhost"
        assert form["username"] == "inbox"
        assert len(visitor.get("/inbox").links) >= mails  # slow@ may have taken one meanwhile
        given = {"host": form["host"], "port": form["port"], "security": "tls"}
        given |= {"username": form["username"], "from_email": form["from_email"]}
        stored = visitor.post_json(f"{TAB}/test-connection", given, form["csrf_token"])
        assert stored.json["ok"], stored.json  # the stored password still opens and still fits
        assert again.interrupt() == 0
        assert processes_of(again.instance) == {}


@pytest.mark.parametrize("port", ["taken", "http", "70000"])
def test_port_that_cannot_be_had(tmp_path: Path, port: str) -> None:
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        asked = str(holder.getsockname()[1]) if port == "taken" else port
        with Demo(tmp_path / "instance", asked, prepared=True) as demo:
            assert demo.process.wait(STOP_SECONDS) == 1
    assert asked in demo.printed
    assert "Traceback" not in demo.printed
    assert len(demo.printed.splitlines()) == 1
    assert processes_of(demo.instance) == {}
