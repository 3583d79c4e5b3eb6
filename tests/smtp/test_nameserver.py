"""Questions to a real name server: what comes back, what does not, and how long it may take."""

import time

import dns.resolver
import pytest

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.nameserver import (
    Answer,
    LookupFailed,
    MailHost,
    NameService,
    Reason,
    Service,
)
from tests.servers.dns import (
    Delay,
    DNSServer,
    Fail,
    Forge,
    Garbage,
    Silence,
    Step,
    Then,
    Truncate,
)

SLACK = 15.0  # for a busy machine


def asking(*servers: DNSServer, patience: float = 5.0) -> NameService:
    return NameService(tuple(one.address for one in servers), patience)


def fails(reason: Reason, names: NameService, name: str = "acme.example") -> LookupFailed:
    """The failure of asking for a text, which has this reason and explains itself."""
    with pytest.raises(LookupFailed) as caught:
        names.txt(name)
    assert caught.value.reason == reason
    assert caught.value.code == "dns_failed"
    assert name in caught.value.message
    assert caught.value.message.endswith(".")
    assert caught.value.hint
    return caught.value


def test_mx_in_order() -> None:
    records = {("acme.example", "MX"): ["20 b.example.", "10 Z.Example.", "10 a.example."]}
    with DNSServer(records) as server:
        assert asking(server).mx("ACME.example.") == Answer(
            (MailHost(10, "a.example"), MailHost(10, "z.example"), MailHost(20, "b.example"))
        )


def test_null_mx() -> None:
    with DNSServer({("acme.example", "MX"): ["0 ."]}) as server:
        assert asking(server).mx("acme.example").records == (MailHost(0, ""),)


def test_srv_in_order() -> None:
    name = "_submission._tcp.acme.example"
    records = ["10 1 587 light.example.", "10 9 587 heavy.example.", "0 0 2525 first.example."]
    with DNSServer({(name, "SRV"): records}) as server:
        assert asking(server).srv(name).records == (
            Service(0, 0, 2525, "first.example"),
            Service(10, 9, 587, "heavy.example"),
            Service(10, 1, 587, "light.example"),
        )


def test_strings_of_a_text_belong_together() -> None:
    records = {
        ("acme.example", "TXT"): ['"v=spf1 " "-all"', '"umlaut \\195\\188"', '"\\255\\000x"']
    }
    with DNSServer(records) as server:
        found = asking(server).txt("acme.example").records
        assert set(found) == {"v=spf1 -all", "umlaut ü", "\ufffd\ufffdx"}


def test_addresses_of_both_kinds() -> None:
    records = {
        ("a.example", "A"): ["192.0.2.1", "192.0.2.2"],
        ("a.example", "AAAA"): ["2001:db8::1"],
    }
    with DNSServer(records) as server:
        names = asking(server)
        assert sorted(names.addresses("a.example").records) == [
            "192.0.2.1",
            "192.0.2.2",
            "2001:db8::1",
        ]
        assert sorted(names.resolve("a.example", 25)) == sorted(
            names.addresses("a.example").records
        )


@pytest.mark.parametrize("broken", ["A", "AAAA"])
def test_one_kind_of_address_is_enough(broken: str) -> None:
    records: dict[tuple[str, str], Step | Then] = {
        ("a.example", "A"): ["192.0.2.1"],
        ("a.example", "AAAA"): ["2001:db8::1"],
    }
    records["a.example", broken] = Fail()
    with DNSServer(records) as server:
        assert len(asking(server).addresses("a.example").records) == 1


def test_no_address_is_an_oserror_for_the_dialling_policy() -> None:
    with DNSServer({("a.example", "TXT"): ["x"], ("b.example", "A"): Fail()}) as server:
        for host in ("a.example", "b.example", "c.example"):
            with pytest.raises(OSError, match=host):
                asking(server).resolve(host, 25)


def test_nothing_of_this_kind_is_not_the_same_as_no_such_name() -> None:
    with DNSServer({("acme.example", "TXT"): ["x"]}) as server:
        names = asking(server)
        assert names.mx("acme.example") == Answer((), exists=True)
        assert names.mx("other.example") == Answer((), exists=False)
        assert names.addresses("acme.example") == Answer((), exists=True)
        assert names.addresses("other.example") == Answer((), exists=False)


def test_alias_is_followed() -> None:
    records = {
        ("a.example", "CNAME"): ["b.example."],
        ("b.example", "CNAME"): ["c.example."],
        ("c.example", "TXT"): ["found"],
        ("x.example", "CNAME"): ["nowhere.example."],
    }
    with DNSServer(records) as server:
        assert asking(server).txt("a.example").records == ("found",)
        assert asking(server).txt("x.example") == Answer((), exists=False)


def test_alias_in_a_circle_ends() -> None:
    records = {("a.example", "CNAME"): ["b.example."], ("b.example", "CNAME"): ["a.example."]}
    with DNSServer(records) as server:
        began = time.monotonic()
        with pytest.raises(LookupFailed):
            asking(server).txt("a.example")
        assert time.monotonic() - began < 5 + SLACK


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP"])
def test_server_that_says_no(rcode: str) -> None:
    with DNSServer({("acme.example", "TXT"): Fail(rcode)}) as server:
        fails("refused", asking(server))


def test_silent_server() -> None:
    with DNSServer({("acme.example", "TXT"): Silence()}) as server:
        began = time.monotonic()
        fails("timeout", asking(server, patience=0.6))
        assert 0.4 < time.monotonic() - began < 0.6 + SLACK


def test_slow_server_is_waited_for() -> None:
    with DNSServer({("acme.example", "TXT"): Delay(0.5, ("late",))}) as server:
        assert asking(server, patience=10).txt("acme.example").records == ("late",)


def test_nobody_listens(closed_port: int) -> None:
    with pytest.raises(LookupFailed):
        NameService((("127.0.0.1", closed_port),), 0.5).txt("acme.example")


def test_deadline_of_the_caller_comes_first() -> None:
    with DNSServer({("acme.example", "TXT"): Silence()}) as server:
        began = time.monotonic()
        with pytest.raises(LookupFailed):
            asking(server, patience=30).txt("acme.example", Deadline(0.4))
        assert time.monotonic() - began < 0.4 + SLACK
        before = len(server.queries)
        with pytest.raises(LookupFailed):
            asking(server).txt("acme.example", Deadline(0))
        assert len(server.queries) == before, "nobody is asked when the time is over"


def test_long_answer_comes_over_tcp() -> None:
    texts = [f"v=spf1 include:_spf{number}.acme.example ~all" for number in range(60)]
    with DNSServer({("acme.example", "TXT"): texts}) as server:
        assert set(asking(server).txt("acme.example").records) == set(texts)
        assert [one.over for one in server.queries] == ["udp", "tcp"]


def test_truncated_answer_is_asked_for_again() -> None:
    with DNSServer({("acme.example", "TXT"): Truncate(("whole",))}) as server:
        assert asking(server).txt("acme.example").records == ("whole",)


def test_truncated_answer_without_tcp() -> None:
    """The server promises more over TCP and then says nothing there."""
    with DNSServer({("acme.example", "TXT"): Truncate(("whole",), tcp=False)}) as server:
        began = time.monotonic()
        fails("timeout", asking(server, patience=0.8))
        assert time.monotonic() - began < 0.8 + SLACK


def test_longest_text_is_bounded_by_the_protocol() -> None:
    with DNSServer({("acme.example", "TXT"): ["x" * 50_000]}) as server:
        assert asking(server).txt("acme.example").records == ("x" * 50_000,)


def test_too_many_records() -> None:
    records = [f"192.0.{number // 250}.{number % 250}" for number in range(101)]
    with DNSServer({("a.example", "A"): records, ("acme.example", "TXT"): records}) as server:
        fails("unusable", asking(server))
        with pytest.raises(OSError, match=r"a\.example"):
            asking(server).resolve("a.example", 25)
        server.set("a.example", "A", records[:100])
        assert len(asking(server).resolve("a.example", 25)) == 100


def test_answer_under_a_wrong_number_is_passed_over() -> None:
    step = Forge(forged=("forged",), records=("true",))
    with DNSServer({("acme.example", "TXT"): step}) as server:
        assert asking(server).txt("acme.example").records == ("true",)


def test_garbage_is_no_answer() -> None:
    with DNSServer({("acme.example", "TXT"): Garbage()}) as server:
        began = time.monotonic()
        fails("timeout", asking(server, patience=0.8))
        assert time.monotonic() - began < 0.8 + SLACK


@pytest.mark.parametrize("first", [Fail(), Silence(), Garbage()], ids=repr)
def test_second_server_helps_out(first: Step) -> None:
    with (
        DNSServer({("acme.example", "TXT"): first}) as broken,
        DNSServer({("acme.example", "TXT"): ["here"]}) as good,
    ):
        assert asking(broken, good, patience=10).txt("acme.example").records == ("here",)


def test_no_such_name_is_final() -> None:
    with DNSServer() as first, DNSServer({("acme.example", "TXT"): ["here"]}) as second:
        assert asking(first, second).txt("acme.example") == Answer((), exists=False)
        assert second.queries == []


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", ".a", "a b.example", "a\\.b.example", "ü.example", "a\0.example", "*.example",
     "x" * 64 + ".example", ".".join(["x" * 60] * 5), "%{i}.example", "a/b.example"],
)  # fmt: skip
def test_name_that_cannot_be(name: str) -> None:
    """Names come from strangers' records, too; what is none is not asked for."""
    with DNSServer() as server:
        assert asking(server).txt(name) == Answer((), exists=False)
        assert server.queries == []


def test_name_is_asked_for_as_it_is() -> None:
    """Without the search list of the machine, which would look inside its own network."""
    with DNSServer() as server:
        asking(server).mx("acme")
        assert {one.name for one in server.queries} == {"acme"}


def test_machine_without_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: dns.resolver.Resolver, file: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", missing)
    fails("misconfigured", NameService())


def test_each_question_is_new() -> None:
    """Nothing is remembered between two checks: a person corrects a record and asks again."""
    with DNSServer({("acme.example", "TXT"): Then(["old"], ["new"])}) as server:
        names = asking(server)
        assert names.txt("acme.example").records == ("old",)
        assert names.txt("acme.example").records == ("new",)
