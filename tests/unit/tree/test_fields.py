"""The building blocks of bodies: what they take, what they refuse, and the form in which they keep it."""

from __future__ import annotations

import ipaddress
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter

from doorward.tree.fields import Address, Cidr, HostName, Ip, Mail, Name, Port, Text, TimeOfDay
from doorward.tree.problems import InvalidBody
from doorward.tree.validation import check

STRICT = ConfigDict(strict=True)  # as every member of a `Body`
ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "HostName": TypeAdapter(HostName, config=STRICT),
    "Ip": TypeAdapter(Ip, config=STRICT),
    "Text": TypeAdapter(Text, config=STRICT),
    "Name": TypeAdapter(Name, config=STRICT),
    "Port": TypeAdapter(Port, config=STRICT),
    "Address": TypeAdapter(Address),
    "Cidr": TypeAdapter(Cidr, config=STRICT),
    "Mail": TypeAdapter(Mail, config=STRICT),
    "TimeOfDay": TypeAdapter(TimeOfDay, config=STRICT),
}


def kept(kind: str, value: Any) -> Any:
    adapter = ADAPTERS[kind]
    return adapter.dump_python(check(adapter, value).model, mode="json")


def codes(kind: str, value: Any) -> list[str]:
    with pytest.raises(InvalidBody) as caught:
        check(ADAPTERS[kind], value)
    return [problem.code for problem in caught.value.problems]


LABEL = "a" * 63
LONGEST = ".".join([LABEL, LABEL, LABEL, "a" * 61])


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        ("HostName", "pool.ntp.org", "pool.ntp.org"),
        ("HostName", "POOL.Ntp.ORG.", "pool.ntp.org"),
        ("HostName", "localhost", "localhost"),
        ("HostName", "a", "a"),
        ("HostName", "1.2.3.4.a5", "1.2.3.4.a5"),
        ("HostName", "3com.com", "3com.com"),
        ("HostName", "x--y.example", "x--y.example"),
        ("HostName", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("HostName", LABEL + ".example", LABEL + ".example"),
        ("HostName", LONGEST, LONGEST),
        ("HostName", LONGEST + ".", LONGEST),
        ("Ip", "10.20.30.40", "10.20.30.40"),
        ("Ip", "127.0.0.1", "127.0.0.1"),
        ("Ip", "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("Ip", "2001:0db8::0001", "2001:db8::1"),
        ("Ip", "fe80::1", "fe80::1"),
        ("Ip", "::1", "::1"),
        ("Text", "", ""),
        ("Text", "cafe\u0301", "caf\u00e9"),
        ("Text", "two words \U0001f512 \u4e2d", "two words \U0001f512 \u4e2d"),
        ("Text", "x" * 4096, "x" * 4096),
        ("Name", "a", "a"),
        ("Name", "@orders", "@orders"),
        ("Name", "caf\u00e9", "caf\u00e9"),
        ("Name", "n" * 128, "n" * 128),
        ("Port", 1, 1),
        ("Port", 65535, 65535),
        ("Cidr", "10.0.0.0/8", "10.0.0.0/8"),
        ("Cidr", "10.1.2.3/8", "10.1.2.3/8"),
        ("Cidr", "0.0.0.0/0", "0.0.0.0/0"),
        ("Cidr", "192.0.2.1/32", "192.0.2.1/32"),
        ("Cidr", "2001:DB8:0::/32", "2001:db8::/32"),
        ("Cidr", "::/0", "::/0"),
        ("Mail", "ops@Example.COM", "ops@example.com"),
        ("Mail", "Jane.Doe+x@a.example.", "Jane.Doe+x@a.example"),
        ("Mail", "root@localhost", "root@localhost"),
        ("Mail", "l" * 64 + "@example.com", "l" * 64 + "@example.com"),
        ("TimeOfDay", "00:00", "00:00"),
        ("TimeOfDay", "09:05", "09:05"),
        ("TimeOfDay", "23:59", "23:59"),
        ("Address", {"selection": "fqdn", "value": "A.Example."}, {"selection": "fqdn", "value": "a.example"}),
        ("Address", {"selection": "ip", "value": "::0:1"}, {"selection": "ip", "value": "::1"}),
    ],
)
def test_values_are_kept_in_canonical_form(kind: str, value: Any, form: Any) -> None:
    assert kept(kind, value) == form
    assert kept(kind, form) == form


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("HostName", "", "format"),
        ("HostName", ".", "format"),
        ("HostName", "a..b", "format"),
        ("HostName", "a.b..", "format"),
        ("HostName", ".a", "format"),
        ("HostName", "-a.example", "format"),
        ("HostName", "a-.example", "format"),
        ("HostName", "a_b.example", "format"),
        ("HostName", "a b.example", "format"),
        ("HostName", " a.example", "format"),
        ("HostName", "a.example\n", "format"),
        ("HostName", "a.example\x00", "format"),
        ("HostName", "a.123", "format"),
        ("HostName", "10.0.0.300", "format"),
        ("HostName", "10.0.0.1", "format"),
        ("HostName", "::1", "format"),
        ("HostName", "b\u00fccher.example", "format"),
        ("HostName", "\u212a.example", "format"),
        ("HostName", "a\u3002example", "format"),
        ("HostName", "\uff41.example", "format"),
        ("HostName", "a.\u0661", "format"),
        ("HostName", LABEL + "a.example", "format"),
        ("HostName", LONGEST + "a", "format"),
        ("HostName", "a." * 200, "length"),
        ("HostName", 5, "type"),
        ("HostName", None, "type"),
        ("Ip", "", "format"),
        ("Ip", "10.0.0", "format"),
        ("Ip", "10.0.0.300", "format"),
        ("Ip", "010.0.0.1", "format"),
        ("Ip", "10.0.0.1/24", "format"),
        ("Ip", " 10.0.0.1", "format"),
        ("Ip", "10.0.0.1\n", "format"),
        ("Ip", "0x7f000001", "format"),
        ("Ip", "2130706433", "format"),
        ("Ip", "\u0661.1.1.1", "format"),
        ("Ip", "0.0.0.0", "format"),  # noqa: S104 - compared, not bound to
        ("Ip", "::", "format"),
        ("Ip", "224.0.0.1", "format"),
        ("Ip", "ff02::1", "format"),
        ("Ip", "255.255.255.255", "format"),
        ("Ip", "fe80::1%eth0", "format"),
        ("Ip", "[::1]", "format"),
        ("Ip", "pool.ntp.org", "format"),
        ("Ip", "1" * 65, "length"),
        ("Ip", 2130706433, "type"),
        ("Text", " a", "format"),
        ("Text", "a ", "format"),
        ("Text", "\u00a0a", "format"),
        ("Text", "a\tb", "format"),
        ("Text", "a\nb", "format"),
        ("Text", "a\x00", "format"),
        ("Text", "a\x7fb", "format"),
        ("Text", "a\x85b", "format"),
        ("Text", "x" * 4097, "length"),
        ("Name", "", "length"),
        ("Name", "n" * 129, "length"),
        ("Name", "a b", "format"),
        ("Name", "a\u2003b", "format"),
        ("Name", "@order", "format"),
        ("Port", 0, "range"),
        ("Port", 65536, "range"),
        ("Port", -1, "range"),
        ("Port", 10**30, "range"),
        ("Port", True, "type"),
        ("Port", "80", "type"),
        ("Port", 80.0, "type"),
        ("Cidr", "10.0.0.0", "format"),
        ("Cidr", "10.0.0.0/", "format"),
        ("Cidr", "10.0.0.0/33", "format"),
        ("Cidr", "10.0.0.0/-1", "format"),
        ("Cidr", "10.0.0.0/255.0.0.0", "format"),
        ("Cidr", "10.0.0.0/8/8", "format"),
        ("Cidr", "10.0.0.0/\u0668", "format"),
        ("Cidr", "::/129", "format"),
        ("Cidr", "fe80::1%eth0/64", "format"),
        ("Cidr", "example/8", "format"),
        ("Cidr", 8, "type"),
        ("Mail", "", "format"),
        ("Mail", "ops", "format"),
        ("Mail", "@example.com", "format"),
        ("Mail", "ops@", "format"),
        ("Mail", "a b@example.com", "format"),
        ("Mail", "a@b@example.com", "format"),
        ("Mail", ".a@example.com", "format"),
        ("Mail", "a.@example.com", "format"),
        ("Mail", "a..b@example.com", "format"),
        ("Mail", "j\u00e9@example.com", "format"),
        ("Mail", "a@exa mple.com", "format"),
        ("Mail", "a@10.0.0.1", "format"),
        ("Mail", "a@example.com\n", "format"),
        ("Mail", "a@example.com\r\nBcc: b@example.com", "format"),
        ("Mail", "l" * 65 + "@example.com", "format"),
        ("Mail", "a@" + "x." * 130, "length"),
        ("TimeOfDay", "24:00", "format"),
        ("TimeOfDay", "23:60", "format"),
        ("TimeOfDay", "9:05", "format"),
        ("TimeOfDay", "0905", "format"),
        ("TimeOfDay", "\u0660\u0669:05", "format"),
        ("TimeOfDay", "09:05:00", "length"),
        ("TimeOfDay", 905, "type"),
        ("Address", {"selection": "ip", "value": "a.example"}, "format"),
        ("Address", {"selection": "fqdn", "value": "10.0.0.1"}, "format"),
        ("Address", {"selection": "dns", "value": "a.example"}, "enum"),
        ("Address", {"selection": "FQDN", "value": "a.example"}, "enum"),
    ],
)
def test_other_values_are_refused(kind: str, value: Any, code: str) -> None:
    assert codes(kind, value) == [code]


@given(st.text(max_size=80))
def test_a_text_is_refused_or_kept_in_nfc_without_blanks_at_the_ends(value: str) -> None:
    try:
        text = kept("Text", value)
    except InvalidBody:
        return
    assert unicodedata.is_normalized("NFC", text)
    assert text == text.strip()
    assert kept("Text", text) == text


@given(st.ip_addresses())
def test_an_address_is_refused_or_kept_as_the_standard_library_spells_it(address: Any) -> None:
    form = str(address)
    try:
        assert kept("Ip", address.exploded.upper()) == form
    except InvalidBody:
        assert address.is_unspecified or address.is_multicast or address == ipaddress.ip_address("255.255.255.255")


@given(st.text(alphabet="aA1-_.\u212a\u0130\u00df\u0661 ", max_size=12))
def test_a_host_name_that_is_kept_is_plain_and_lower_case(value: str) -> None:
    try:
        name = kept("HostName", value)
    except InvalidBody:
        return
    assert value.isascii()
    assert set(name) <= set("a1-.")
    assert not name.endswith(".")
    assert kept("HostName", name) == name
