import doctest
import re

import pytest
import render_specs as specs
from msgspec.structs import replace

import golden
from hydria.base import process
from hydria.base.errors import Invalid, Unsupported
from hydria.model.pool import SessionPersistence
from hydria.model.spec import HealthMonitorSpec, Spec
from hydria.render.haproxy import quote
from hydria.render.haproxy.config import Surroundings, mark_of, render, unsupported

SURROUNDINGS = Surroundings(
    stats_socket="/run/hydria/haproxy.sock",
    state_file="/run/hydria/haproxy.state",
    user="haproxy",
    group="haproxy",
)

HOSTILE = (
    "x'; bind :666",
    'x"; bind :666',
    "x # comment",
    "x\\",
    "${HOME}",
    "$HOME",
    "x y",
    "%[env(HOME)]",
    "x)",
    "x,y",
    "x'\\''y",
    '""',
    "é",
)
CONTROL = ("x\nbind :666", "x\rbind :666", "x\0", "x\ty", "x\x7f")


def text_of(spec: Spec) -> str:
    text = render(spec, SURROUNDINGS)
    assert text is not None
    return text


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def checked(text: str) -> process.Completed:
    return process.run(["haproxy", "-c", "-V", "-f", "/dev/stdin"], stdin=text, check=False)


@pytest.mark.parametrize("name", specs.SPECS)
def test_golden(name: str) -> None:
    golden.check(f"haproxy/{name}.cfg", text_of(specs.SPECS[name]))


@pytest.mark.parametrize("name", specs.SPECS)
def test_haproxy_takes_it(name: str) -> None:
    result = checked((golden.DIRECTORY / f"haproxy/{name}.cfg").read_text())
    assert result.status == 0, result.stderr
    complaints = [line for line in result.stderr.splitlines() if "WARNING" in line]
    # The file of states appears with the first reload.
    assert [line for line in complaints if "server state file" not in line] == []


def _with(text: str, place: str) -> Spec:
    monitor = {"id": "h", "type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1, "http_version": 1.1}
    match place:
        case "cookie_name":
            return specs.pool(session_persistence=SessionPersistence(type="APP_COOKIE", cookie_name=text))
        case "url_path" | "domain_name" | "expected_codes":
            return specs.pool(health_monitor=HealthMonitorSpec(**{**monitor, place: text}))
        case "amphora_id":
            return replace(specs.SPEC, amphora_id=text)
        case "listener id":
            return specs.listeners({"id": text})
        case "pool id":
            return replace(specs.listeners({"default_pool_id": text}), pools=(replace(specs.POOL, id=text),))
        case "member id":
            return specs.pool(members=(replace(specs.MEMBERS[0], id=text),))
        case "member address":
            return specs.pool(members=(replace(specs.MEMBERS[0], address=text),))
        case _:
            return specs.listeners({"insert_headers": {text: "true"}})


PLACES = (
    *("cookie_name", "url_path", "domain_name", "expected_codes", "amphora_id"),
    *("listener id", "pool id", "member id", "member address", "insert_headers"),
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", [*HOSTILE, *CONTROL], ids=ascii)
def test_what_a_tenant_types_stays_one_word_or_is_refused(place: str, text: str) -> None:
    """The structure of the file is that of a harmless text, whatever was typed."""
    try:
        hostile = text_of(_with(text, place))
    except Invalid:
        return
    assert text not in CONTROL
    harmless = text_of(_with("x" if place != "expected_codes" else "200", place))
    assert [line.split()[:1] for line in lines_of(hostile)] == [line.split()[:1] for line in lines_of(harmless)]
    changed = [pair for pair in zip(lines_of(hostile), lines_of(harmless), strict=True) if len(set(pair)) == 2]
    assert changed
    assert [len(_words(new)) for new, _ in changed] == [len(_words(old)) for _, old in changed]


def _words(line: str) -> list[str]:
    """Split as HAProxy does: strong quotes, escaped quotes between them, and blanks."""
    return re.findall(r"(?:'[^']*'|\\.|[^\s'\\])+", line)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_haproxy_reads_a_quoted_word_as_it_was_typed(text: str) -> None:
    """Its complaint about such a server name says what it read."""
    word = quote.word(text)
    answer = checked(f"backend b\n  server {word} 127.0.0.1:1\n  server {word} 127.0.0.1:1\n").stderr
    assert f"server name '{text}'" in answer or f"named '{text}'" in answer


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a#b", "a$b", "a`b|c~d", "!#$%&'*+-.^_`|~"])
def test_every_cookie_name_of_the_api_is_taken(name: str) -> None:
    result = checked(text_of(specs.persistence("APP_COOKIE", cookie_name=name)))
    assert result.status == 0, result.stderr


def test_quoting_doctests() -> None:
    assert doctest.testmod(quote).failed == 0


@pytest.mark.parametrize(
    "spec",
    [
        replace(specs.SPEC, listeners=()),
        replace(specs.SPEC, admin_state_up=False),
        replace(specs.SPEC, interfaces=()),
        specs.listeners({"protocol": "UDP"}),
    ],
    ids=["no listener", "admin down", "no VIP", "not ours"],
)
def test_nothing_to_serve(spec: Spec) -> None:
    assert render(spec, SURROUNDINGS) is None


def test_what_haproxy_does_not_do_is_told_and_left_out() -> None:
    spec = replace(
        specs.monitor("PING"),
        listeners=(specs.LISTENER, replace(specs.LISTENER, id="listener-2", protocol="UDP", protocol_port=53)),
    )
    assert [(fault.resource_type, fault.resource_id) for fault in unsupported(spec)] == [
        ("listener", "listener-2"),
        ("pool", "pool-1"),
    ]
    assert "listener-2" not in text_of(spec)
    with pytest.raises(Unsupported, match="SOURCE_IP_PORT"):
        text_of(specs.pool(lb_algorithm="SOURCE_IP_PORT"))


def test_mark_tells_configurations_apart() -> None:
    assert mark_of(text_of(specs.SPEC)) == mark_of(text_of(replace(specs.SPEC, generation=2)))
    assert mark_of(text_of(specs.SPEC)) != mark_of(text_of(specs.pool(lb_algorithm="SOURCE_IP")))
    other = render(specs.SPEC, replace(SURROUNDINGS, descriptors=1_000))
    assert other is not None
    assert mark_of(other) != mark_of(text_of(specs.SPEC))


def test_maxconn_fits_the_files_that_may_be_open() -> None:
    """HAProxy would refuse to start otherwise."""
    text = render(specs.SPEC, replace(SURROUNDINGS, descriptors=20_000))
    assert text is not None
    assert f"maxconn {(20_000 - 500 - 2 - 2) // 2}" in text


def test_member_of_two_listeners_is_checked_once() -> None:
    text = text_of(specs.SPECS["two-listeners-one-pool"])
    assert text.count(" check inter ") == len(specs.MEMBERS)
    assert text.count(" track pool-1:http:5000:50000/member-1") == 2
