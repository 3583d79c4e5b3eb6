"""The envelope sender of each mail carries a signed tag where its sender wants that."""

from collections.abc import Callable

import pytest

from smtp_admin.delivery.return_path import ReturnPaths
from smtp_admin.errors import InvalidInput
from tests.app import HostApp
from tests.delivery.workbench import Workbench, deliveries, queue, row_of
from tests.servers.scripted import ScriptedServer

MakeBench = Callable[..., Workbench]


def test_each_mail_comes_back_to_its_own_address(
    host: HostApp, bench_of: MakeBench, server: ScriptedServer
) -> None:
    """A mail to two is sent twice, the bytes the same, the envelope each with its own tag."""
    host.save_sender(port=server.port, bounce_address="bounce@mail.acme.example")
    public_id = queue(host, "a@example.org", "b@example.org")
    bench_of(host).tick()
    paths = ReturnPaths(host.installation.keyring)
    of = {one.recipient: one.id for one in deliveries(host)}
    assert len(of) == 2
    for sent in server.messages:
        assert sent.mail_from.startswith("bounce+")
        assert sent.mail_from.endswith("@mail.acme.example")
        assert paths.deliveries_in([sent.mail_from]) == [of[sent.recipients[0]]]
        assert sent.data == row_of(host, public_id).content
        assert b"bounce+" not in sent.data


def test_the_domain_must_be_the_senders_own(host: HostApp) -> None:
    for address in ("bounce@other.example", "bounce@notacme.example", "bounce@example"):
        with pytest.raises(InvalidInput) as refused:
            host.save_sender(bounce_address=address)
        assert list(refused.value.fields) == ["bounce_address"]
