"""The wizard in a real terminal: from nothing to a sender that sends, and every way out of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smtp_admin.cli.terminal import NOTHING
from smtp_admin.encryption import Keyring
from tests.app import HostApp
from tests.cli.site import audited, configure, make_site_with_partners, saved, sender_of
from tests.cli.terminal import CTRL_C, CTRL_D, Terminal
from tests.delivery.workbench import queue
from tests.servers.behaviours import Stall
from tests.servers.certificates import CertificateFactory
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import Site, until

LOGIN, PASSWORD, WRONG = "mia@acme.example", "Geheim-im-Händler-9f3b", "falsch-4711-geraten"
SECRET = "Password, not shown"


@pytest.fixture
def server(certificates: CertificateFactory) -> Iterator[ScriptedServer]:
    """A mail server with STARTTLS and a login."""
    context = certificates.server_context(certificates.valid())
    with ScriptedServer(starttls=context, auth=(LOGIN, PASSWORD)) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, redis: RedisServer, certificates: CertificateFactory) -> Site:
    """An app without any settings."""
    return make_site_with_partners(tmp_path, redis.url, certificates)


@pytest.fixture
def host(site: Site) -> Iterator[HostApp]:
    """The same app, from this side."""
    with site.opened() as opened:
        yield opened


def answer_up_to_the_login(terminal: Terminal, server: ScriptedServer) -> None:
    """Everything before the login, for a server that is entered by hand."""
    terminal.answer("From address:", "noreply@acme.example")
    terminal.answer("From name:", "Acme")
    terminal.answer("Sending method", "other")
    terminal.answer("Host:", "localhost")
    terminal.answer("Port [587]:", str(server.port))
    terminal.answer("Security [1]:")


def test_from_nothing_to_a_sender_that_sends(
    site: Site, host: HostApp, server: ScriptedServer
) -> None:
    with Terminal(site.folder, "wizard", "--partner", "acme") as terminal:
        terminal.answer("From address:", "not an address")
        terminal.expect("@")
        answer_up_to_the_login(terminal, server)
        terminal.answer("Login:", LOGIN)
        terminal.answer(SECRET, "")
        terminal.expect("Enter the password")
        terminal.answer(SECRET, WRONG)
        # Each stage stands there, up to the one that failed; then what it means, and what to do.
        stages = terminal.expect("✕ auth")
        assert [line.split()[1] for line in stages.splitlines() if line.startswith("✓")] == [
            "validate", "dns", "connect", "greeting", "ehlo", "starttls", "tls", "certificate",
        ]  # fmt: skip
        terminal.expect("535")
        terminal.expect("The server refused the user name or password.")
        terminal.expect("Nothing is saved yet")
        terminal.expect("Choose [1]")
        assert saved(host) == []
        terminal.type()
        terminal.answer("Login (- for none) [mia@acme.example]:")
        terminal.answer(SECRET, PASSWORD)
        terminal.expect("✓ auth")
        terminal.expect("✓ sender")
        terminal.expect("Works.")
        terminal.expect("Choose [1]")
        assert saved(host) == []
        terminal.type()
        terminal.expect("Saved as revision 1")
        assert terminal.ended() == 0
        assert terminal.echoes
        screen = terminal.screen
    assert PASSWORD not in screen
    assert WRONG not in screen
    assert "\x1b" not in screen
    assert "Traceback" not in screen
    assert audited(host) == [
        ("operator", "connection.tested", "acme"),
        ("operator", "connection.tested", "acme"),
        ("operator", "settings.saved", "acme"),
    ]
    values = sender_of(host, "acme").values
    assert (values.host, values.port, values.security) == ("localhost", server.port, "tls")
    assert (values.username, values.from_name, values.verify_tls) == (LOGIN, "Acme", True)
    queue(host, partner_id="acme")
    with site.worker("--burst") as worker:
        assert worker.wait(30) == 0
    (mail,) = server.wait_for_messages(1)
    assert mail.session.auth_attempts == [("PLAIN", LOGIN, PASSWORD)]


@pytest.mark.parametrize("place", ["address", "menu", "password", "last"])
def test_leaving_saves_nothing(
    site: Site, host: HostApp, server: ScriptedServer, place: str
) -> None:
    """Ctrl-C and Ctrl-D, wherever one is: one sentence, status 1, and the terminal as it was."""
    with Terminal(site.folder, "wizard") as terminal:
        if place == "address":
            terminal.expect("From address:")
        elif place == "menu":
            terminal.answer("From address:", "noreply@acme.example")
            terminal.answer("From name:")
            terminal.expect("Sending method")
        else:
            answer_up_to_the_login(terminal, server)
            terminal.answer("Login:", LOGIN)
            terminal.expect(SECRET)
            assert until(lambda: not terminal.echoes)
        if place == "last":
            terminal.type(PASSWORD)
            terminal.expect("Choose [1]")
        leave = CTRL_D if place in {"menu", "password"} else CTRL_C
        terminal.insist(leave, "Stopped: nothing was saved.")
        assert terminal.ended() == 1
        assert terminal.echoes
        assert "Traceback" not in terminal.screen
        assert PASSWORD not in terminal.screen
    assert saved(host) == []


def test_leaving_while_the_server_keeps_one_waiting(
    site: Site, host: HostApp, server: ScriptedServer
) -> None:
    server.behave("greeting", Stall())
    options = ("--host", "localhost", "--port", str(server.port), "--security", "tls",
               "--username", "", "--from-email", "noreply@acme.example",
               "--from-name", "Acme")  # fmt: skip
    with Terminal(site.folder, "wizard", *options) as terminal:
        terminal.expect("✓ connect")
        terminal.insist(CTRL_C, "Stopped: nothing was saved.")
        assert terminal.ended() == 1
    assert saved(host) == []


def test_what_is_saved_is_the_default(site: Site, host: HostApp, server: ScriptedServer) -> None:
    """Enter, Enter, Enter: the same again, with the password that was saved; one field changed."""
    host.save_sender("", host="localhost", port=server.port, security="tls", username=LOGIN,
                     password=PASSWORD, from_name="Old", reply_to="help@acme.example",
                     max_per_hour=80)  # fmt: skip
    with Terminal(site.folder, "wizard") as terminal:
        terminal.expect("revision 1, by Ada")
        terminal.answer("From address [noreply@platform.example]:")
        terminal.answer("From name (- for none) [Old]:", NOTHING)
        terminal.answer("Sending method [12]:")
        terminal.answer("Host [localhost]:")
        terminal.answer(f"Port [{server.port}]:")
        terminal.answer("Security [1]:")
        terminal.answer(f"Login (- for none) [{LOGIN}]:")
        terminal.answer(f"{SECRET}; Enter keeps the saved one:")
        terminal.expect("Works.")
        terminal.answer("Choose [1]")
        terminal.expect("Saved as revision 2")
        assert terminal.ended() == 0
    sender = sender_of(host)
    assert (sender.values.from_name, sender.values.reply_to) == ("", "help@acme.example")
    assert sender.values.max_per_hour == 80
    ring = Keyring(host.installation.config.secret_keys)
    assert sender.secrets_for(sender.values, ring)["password"] == PASSWORD


def test_a_login_of_the_wrong_shape_is_told_before_dialling(site: Site, host: HostApp) -> None:
    with Terminal(site.folder, "wizard") as terminal:
        terminal.answer("From address:", "noreply@acme.example")
        terminal.answer("From name:")
        terminal.answer("Sending method", "sendgrid")
        terminal.answer("Region [1]:")
        terminal.answer("Use smtp.sendgrid.net, port 587, STARTTLS?", "y")
        terminal.expect("Trial of 60 days: at most 100 a day")
        terminal.answer("Mails per day, at most:", "100")
        terminal.answer("Login:", "mia")
        terminal.expect("✕ Login:")
        terminal.expect("apikey")
        terminal.answer("[mia]:", "apikey")
        terminal.answer(SECRET, WRONG)
        terminal.expect("✕ Password:")
        terminal.expect("SG.")
        terminal.answer("Login (- for none) [apikey]:")
        terminal.expect(SECRET)
        assert "validate" not in terminal.screen  # nothing was tested, so nothing was dialled
        terminal.insist(CTRL_C, "Stopped: nothing was saved.")
        assert terminal.ended() == 1
        assert WRONG not in terminal.screen
    assert audited(host) == []


def test_what_does_not_work_is_saved_only_by_whoever_insists(site: Site, host: HostApp,
                                                             closed_port: int) -> None:  # fmt: skip
    options = ("--host", "localhost", "--port", str(closed_port), "--security", "tls",
               "--username", "", "--from-name", "Acme", "--from-email",
               "noreply@acme.example")  # fmt: skip
    with Terminal(site.folder, "wizard", *options) as terminal:
        terminal.expect("✕ connect")
        terminal.answer("Choose [2]", "save")
        terminal.expect("Mail cannot be sent with these settings: ")
        terminal.answer("Save anyway?")
        terminal.expect("Choose [2]")
        assert saved(host) == []
        terminal.type("save")
        terminal.answer("Save anyway?", "y")
        terminal.expect("Saved as revision 1")
        assert terminal.ended() == 0
    assert [one.fields["port"] for one in saved(host)] == [closed_port]


def test_somebody_else_saves_meanwhile(site: Site, host: HostApp, server: ScriptedServer) -> None:
    server.auth = None
    options = ("--host", "localhost", "--port", str(server.port), "--security", "tls",
               "--username", "", "--from-name", "Acme", "--from-email",
               "noreply@acme.example")  # fmt: skip
    with Terminal(site.folder, "wizard", *options) as terminal:
        terminal.expect("Choose [1]")
        host.save_sender("", host="other.example")
        terminal.type()
        terminal.expect("Nothing was overwritten.")
        terminal.expect("Run the wizard again")
        assert terminal.ended() == 1
    assert [one.fields["host"] for one in saved(host)] == ["other.example"]


def test_what_the_environment_holds_is_shown_and_not_asked(
    site: Site, host: HostApp, server: ScriptedServer
) -> None:
    held = {"SMTP_HOST": "localhost", "SMTP_PORT": str(server.port), "SMTP_SECURITY": "tls",
            "SMTP_USER": LOGIN, "SMTP_PASSWORD": PASSWORD}  # fmt: skip
    with Terminal(site.folder, "wizard", environment=held, colours=True) as terminal:
        shown = terminal.expect("From address:")
        for name in held:
            assert f"held by {name}" in shown
        terminal.type("noreply@acme.example")
        terminal.answer("From name:")
        terminal.expect("Works.")
        terminal.answer("Choose [1]")
        assert terminal.ended() == 0
        for question in ("Host:", "Host [", "Port [", "Login:", SECRET):
            assert question not in terminal.screen[terminal.screen.index("From name:") :]
        assert PASSWORD not in terminal.screen
        assert "\x1b[" in terminal.screen  # colours, where nobody forbade them
    assert [one.secrets for one in saved(host)] == [{}]


def test_a_wrong_login_of_the_environment_is_not_asked_for_again_and_again(
    site: Site, host: HostApp
) -> None:
    held = {"SMTP_HOST": "smtp.sendgrid.net", "SMTP_USER": "mia", "SMTP_PASSWORD": PASSWORD}
    options = ("--port", "587", "--security", "tls", "--from-name", "", "--max-per-day", "",
               "--from-email", "noreply@acme.example")  # fmt: skip
    with Terminal(site.folder, "wizard", *options, environment=held) as terminal:
        terminal.expect("apikey")
        assert terminal.ended() == 1
        assert terminal.screen.count("SendGrid’s login is exactly") == 1
    assert saved(host) == []


def test_without_a_key_no_password_is_asked_for(site: Site, host: HostApp,
                                                server: ScriptedServer) -> None:  # fmt: skip
    configure(site, SECRET_KEYS=[])
    with Terminal(site.folder, "wizard") as terminal:
        answer_up_to_the_login(terminal, server)
        terminal.answer("Login:", LOGIN)
        terminal.expect("flask smtp-admin keys generate")
        assert terminal.ended() == 1
        assert SECRET not in terminal.screen
    assert saved(host) == []


def test_another_sender_and_what_most_leave_alone(
    site: Site, host: HostApp, server: ScriptedServer
) -> None:
    """A new sender gets its label, and everything else is asked for on demand, in one group."""
    server.auth = None
    host.save_sender("acme")
    options = ("--host", "localhost", "--port", str(server.port), "--security", "tls",
               "--username", "", "--from-name", "Acme", "--from-email",
               "news@acme.example")  # fmt: skip
    words = ("wizard", "--partner", "acme", "--sender", "newsletters", *options)
    with Terminal(site.folder, *words) as terminal:
        terminal.expect("Mail settings of partner acme, sender newsletters")
        terminal.expect("It is new.")
        terminal.answer("Name:", "News")
        terminal.expect("Works.")
        terminal.answer("Choose [1]", "more")
        terminal.answer("Check the server's certificate [Y/n]:")
        terminal.answer("Certificate authority, or @FILE:", "@nowhere")
        terminal.expect("cannot be read")
        terminal.answer("Certificate authority, or @FILE:")
        terminal.answer("Client certificate, or @FILE:")
        terminal.answer("Name in EHLO:")
        terminal.answer("Address for bounces:")
        terminal.answer("Reply-to address:", "help@acme.example")
        terminal.answer("Envelope sender:")
        terminal.answer("Connections at a time [2]:", "0")
        terminal.expect("from 1 to 20")
        terminal.answer("Connections at a time [2]:", "4")
        terminal.answer("Mails per hour, at most:", "80")
        terminal.answer("Mails per day, at most:")
        terminal.answer("Headers of every mail, or @FILE:", "X-Stream: outbound")
        terminal.answer("Copy to an archive:")
        terminal.answer("Fallback senders:", "backup")
        # There is no such sender: it is told before anything is dialled, and asked again.
        terminal.expect("There is no sender 'backup' here.")
        terminal.answer("[backup]:", "default, system")
        terminal.expect("Works.")
        terminal.answer("Choose [1]")
        terminal.expect("Saved as revision 1")
        terminal.expect("send-test YOUR@ADDRESS --partner acme --sender newsletters")
        assert terminal.ended() == 0
    sender = sender_of(host, "acme", "newsletters")
    assert sender.label == "News"
    values = sender.values
    assert (values.reply_to, values.max_connections) == ("help@acme.example", 4)
    assert (values.max_per_hour, values.max_per_day) == (80, None)
    assert values.headers == (("X-Stream", "outbound"),)
    assert values.fallbacks == ("default", "system")


def test_a_certificate_and_its_key_from_files(
    site: Site, host: HostApp, server: ScriptedServer, certificates: CertificateFactory
) -> None:
    server.auth = None
    pair = certificates.valid()
    options = ("--host", "localhost", "--port", str(server.port), "--security", "tls",
               "--username", "", "--from-name", "", "--from-email", "noreply@acme.example",
               "--client-certificate", f"@{pair.certfile}")  # fmt: skip
    with Terminal(site.folder, "wizard", *options) as terminal:
        terminal.expect("✕ Key of the client certificate: Enter the key")
        terminal.answer("Key of the client certificate, as @FILE:")
        terminal.expect("Enter the key")
        terminal.answer("Key of the client certificate, as @FILE:", f"@{pair.certfile}")
        terminal.expect("not a private key")
        terminal.answer("Key of the client certificate, as @FILE:", f"@{pair.keyfile}")
        terminal.expect("Works.")
        terminal.answer("Choose [1]")
        terminal.expect("Saved as revision 1")
        assert terminal.ended() == 0
    assert sender_of(host).has_secret("client_key")


def test_another_way_of_sending(site: Site, host: HostApp) -> None:
    """Ways without a server stand in the same list, and are asked for what they have."""
    with Terminal(site.folder, "wizard") as terminal:
        terminal.answer("From address:", "noreply@acme.example")
        terminal.answer("From name:")
        terminal.expect("Sendmail")
        terminal.answer("Sending method", "driver:sendmail")
        shown = terminal.expect("Nothing is saved yet.")
        assert "Login" not in shown
        assert "Host" not in shown
        terminal.expect("Choose the sending method again")
        terminal.answer("Choose", "save")
        terminal.insist("y\n", "Saved as revision 1")
        assert terminal.ended() == 0
    assert sender_of(host).values.driver == "sendmail"
