"""The bridge and its socket in Chromium, under a strict Content-Security-Policy."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.realtime.running import Site
from tests.static.pages import CLASSIC, PAGE, Pages
from tests.support.processes import Processes

pytestmark = pytest.mark.timeout(60)

# So that tests wait for nothing but the server: no delay, but as many tries as it takes.
QUICK = "{minReconnectionDelay: 1, maxReconnectionDelay: 4, debug: true}"

INLINE = """
<script nonce="n0nce">
  window.bridge = new {name}.WebSocketBridge();
  bridge.connect("/ws/");
  bridge.listen((action) => bridge.send({{ echo: action }}));
</script>
"""
MODULE = """
<script type="module" nonce="n0nce">
  import { WebSocketBridge, ReconnectingWebSocket } from "/static/djchan/js/websocketbridge.mjs";
  const bridge = new WebSocketBridge();
  bridge.connect("/ws/");
  bridge.listen((action) => bridge.send({ echo: action }));
  window.kept = bridge.socket instanceof ReconnectingWebSocket && !window.channels;
</script>
"""

WORKER = """
const own = trustedTypes.createPolicy("own", { createScriptURL: (url) => url });
importScripts(own.createScriptURL("/static/djchan/js/websocketbridge.js"));
const bridge = new djchan.WebSocketBridge();
bridge.connect("/ws/");
bridge.listen((action) => bridge.send({ echo: action }));
"""


def connect(page: Page, pages: Pages, options: str = QUICK) -> None:
    """Open the page with the classic script, and connect ``window.bridge``."""
    pages.open(page)
    page.evaluate(
        f"""() => {{
            window.bridge = new channels.WebSocketBridge();
            bridge.connect("/ws/", undefined, {options});
            watch(bridge.socket);
        }}"""
    )


def opened(page: Page, times: int = 1) -> None:
    page.evaluate("(n) => until(() => heard.filter((e) => e === 'open').length >= n)", times)


def heard(page: Page) -> list[str]:
    return list(page.evaluate("heard"))


def delays(page: Page) -> list[int]:
    """What the socket says of its waits, in ms."""
    lines = page.evaluate("said")
    return [int(found[1]) for line in lines if (found := re.search(r"next try in (\d+) ms", line))]


class TestForms:
    @pytest.mark.parametrize("path", ["channels", "djchan"])
    @pytest.mark.parametrize("name", ["channels", "djchan"])
    def test_a_classic_script_and_the_next_inline_script(self, page, pages, path, name):
        script = f'<script src="/static/{path}/js/websocketbridge.js"></script>'
        pages.pages["/classic/"] = PAGE.format(scripts=script + INLINE.format(name=name))
        pages.open(page, "/classic/")
        visit = pages.visit()
        visit.send('{"say": "hello"}')
        assert visit.frame() == '{"echo":{"say":"hello"}}'

    def test_a_module(self, page, pages):
        pages.pages["/module/"] = PAGE.format(scripts=MODULE)
        pages.open(page, "/module/")
        visit = pages.visit()
        visit.send('{"say": "hello"}')
        assert visit.frame() == '{"echo":{"say":"hello"}}'
        assert page.evaluate("kept") is True

    def test_both_paths_on_one_page(self, page, pages):
        other = '<script src="/static/djchan/js/websocketbridge.js"></script>'
        pages.pages["/both/"] = CLASSIC + other + INLINE.format(name="channels")
        pages.open(page, "/both/")
        assert pages.visit().path == "/ws/"
        assert page.evaluate("channels === djchan")

    def test_in_a_worker(self, page, pages):
        pages.pages["/worker.js"] = WORKER
        pages.open(page)
        page.evaluate(
            """() => {
                const own = trustedTypes.createPolicy("own", { createScriptURL: (url) => url });
                window.worker = new Worker(own.createScriptURL("/worker.js"));
            }"""
        )
        visit = pages.visit()
        visit.send('{"say": "hello"}')
        assert visit.frame() == '{"echo":{"say":"hello"}}'


class TestBridge:
    @pytest.mark.parametrize(
        ("given", "path"),
        [("undefined", "/"), ("null", "/"), ("'/a/?b=c'", "/a/?b=c"), ("verbatim", "/whole/")],
    )
    def test_connect_takes_a_path_or_an_address_or_nothing(self, page, pages, given, path):
        pages.open(page)
        page.evaluate(
            f"""() => {{
                const verbatim = `ws://${{location.host}}/whole/`;
                window.bridge = new channels.WebSocketBridge();
                bridge.connect({given});
            }}"""
        )
        assert pages.visit().path == path
        assert page.evaluate("bridge.socket.url") == f"ws://{pages.host}{path}"

    def test_protocols(self, page, pages):
        pages.open(page)
        page.evaluate(
            """() => {
                window.bridge = new channels.WebSocketBridge();
                bridge.connect("/", ["one", "two"]);
                watch(bridge.socket);
            }"""
        )
        assert pages.visit().offered == "one, two"
        opened(page)
        assert page.evaluate("bridge.socket.protocol") == "one"
        page.evaluate("bridge.connect('/', null)")
        assert pages.visit().offered is None

    def test_listen_gets_what_has_no_stream(self, page, pages):
        connect(page, pages)
        page.evaluate(
            "bridge.listen((...given) => { (window.got = window.got || []).push(given) })"
        )
        visit = pages.visit()
        for frame in ('{"type": "a"}', "null", "[1]", "7", '{"stream": "x", "payload": 1}', '"z"'):
            visit.send(frame)
        page.evaluate("until(() => heard.length === 7)")
        assert page.evaluate("got") == [
            [{"type": "a"}, None],
            [None, None],
            [[1], None],
            [7, None],
            ["z", None],
        ]

    def test_a_stream_gets_its_payload_alone(self, page, pages):
        connect(page, pages)
        page.evaluate(
            """() => {
                window.got = [];
                bridge.listen();
                bridge.demultiplex("a", (...given) => got.push(["a", ...given]));
                bridge.demultiplex("b", (...given) => got.push(["b", ...given]));
            }"""
        )
        visit = pages.visit()
        for stream in ("a", "b", "nobody", "constructor", "__proto__", "a"):
            visit.send(json.dumps({"stream": stream, "payload": {"to": stream}}))
        visit.send('{"no": "stream"}')
        page.evaluate("until(() => heard.length === 8)")
        assert page.evaluate("got") == [
            ["a", {"to": "a"}, "a"],
            ["b", {"to": "b"}, "b"],
            ["a", {"to": "a"}, "a"],
        ]

    def test_send_and_stream(self, page, pages):
        connect(page, pages)
        opened(page)
        assert page.evaluate("[bridge.send({a: 1}), bridge.stream('s').send({b: 2})]") == [True] * 2
        visit = pages.visit()
        assert visit.frame() == '{"a":1}'
        assert visit.frame() == '{"stream":"s","payload":{"b":2}}'

    def test_send_before_connect_says_what_is_missing(self, page, pages):
        pages.open(page)
        with pytest.raises(Exception, match="connect\\(\\) comes before send\\(\\)"):
            page.evaluate("new channels.WebSocketBridge().send({})")

    def test_listen_before_connect_and_through_another_connect(self, page, pages):
        pages.open(page)
        page.evaluate(
            """() => {
                window.got = [];
                window.bridge = new channels.WebSocketBridge();
                bridge.listen((action) => got.push(action));
                bridge.connect("/first/");
            }"""
        )
        first = pages.visit()
        first.send("1")
        page.evaluate("until(() => got.length === 1)")
        page.evaluate("bridge.connect('/second/')")
        assert first.left() == 1000
        second = pages.visit()
        assert second.path == "/second/"
        second.send("2")
        page.evaluate("until(() => got.length === 2)")
        assert page.evaluate("got") == [1, 2]

    def test_options_of_the_bridge_and_of_one_connect(self, page, pages):
        pages.away = True
        pages.open(page)
        page.evaluate(
            """() => {
                const bridge = new djchan.WebSocketBridge({maxRetries: 0, debug: true});
                bridge.connect("/");
                watch(bridge.socket);
                window.again = new djchan.WebSocketBridge({maxRetries: 0});
                again.connect("/", [], {maxRetries: 2, minReconnectionDelay: 1});
                window.twice = 0;
                again.socket.onclose = () => { twice += 1; };
            }"""
        )
        page.evaluate("until(() => heard.includes('error EHOSTDOWN') && twice === 3)")
        assert delays(page) == []

    @pytest.mark.parametrize("value", ["-1", "'soon'", "NaN"])
    def test_an_option_that_is_no_number_is_named(self, page, pages, value):
        pages.open(page)
        with pytest.raises(Exception, match=r"maxRetries has to be a number, 0 or more, and is "):
            page.evaluate(
                f"new channels.WebSocketBridge().connect('/', [], {{maxRetries: {value}}})"
            )

    def test_a_frame_that_is_no_json_is_reported_and_harms_nothing(self, browser, pages):
        context = browser.new_context()
        page = context.new_page()
        connect(page, pages)
        page.evaluate(
            """() => {
                window.got = [];
                addEventListener("error", (event) => { got.push(event.error.name); });
                bridge.listen((action) => got.push(action));
            }"""
        )
        visit = pages.visit()
        visit.send("no json")
        visit.send("1")
        page.evaluate("until(() => got.length === 2)")
        assert page.evaluate("got") == ["SyntaxError", 1]
        context.close()


class TestSocket:
    def test_events_come_by_listeners_and_by_handlers(self, page, pages):
        pages.voice.clear()
        connect(page, pages)
        page.evaluate(
            """() => {
                const { socket } = bridge;
                window.got = [];
                const gone = () => got.push("gone");
                socket.addEventListener("message", gone);
                socket.removeEventListener("message", gone);
                socket.addEventListener("message", () => got.push("once"), { once: true });
                socket.addEventListener("message", { handleEvent: () => got.push("object") });
                socket.onopen = function (event) {
                    got.push(`onopen ${this === socket} ${event.target === socket}`);
                };
                socket.onmessage = (event) => got.push(`onmessage ${event.data}`);
                socket.onclose = (event) => got.push(`onclose ${event.code} ${event.wasClean}`);
            }"""
        )
        pages.voice.set()
        visit = pages.visit()
        opened(page)
        visit.send("a")
        visit.send("b")
        visit.close(1001)
        opened(page, 2)
        assert page.evaluate("got") == [
            "onopen true true",
            *("onmessage a", "once", "object"),
            *("onmessage b", "object"),
            "onclose 1001 true",
            "onopen true true",
        ]
        assert heard(page) == ["open", "message a", "message b", "close 1001", "open"]

    def test_an_error_in_a_listener_keeps_nothing_from_the_others(self, browser, pages):
        context = browser.new_context()  # Not the fixture's page, which an error would fail.
        page = context.new_page()
        pages.voice.clear()
        connect(page, pages)
        page.evaluate(
            """() => {
                addEventListener("error", (event) => heard.push(event.error.message));
                bridge.socket.onopen = () => { throw new Error("of the page"); };
                bridge.send("waits");
            }"""
        )
        pages.voice.set()
        assert pages.visit().frame() == '"waits"'
        assert heard(page) == ["of the page", "open"]
        context.close()

    def test_what_a_websocket_has(self, page, pages):
        pages.voice.clear()
        connect(page, pages)
        assert page.evaluate("bridge.socket.readyState") == 0
        pages.voice.set()
        opened(page)
        assert page.evaluate(
            """() => {
                const { socket } = bridge;
                socket.binaryType = "arraybuffer";
                return [socket.readyState, socket.OPEN, socket.constructor.CLOSED,
                        socket.extensions, socket.protocol, socket.bufferedAmount,
                        socket instanceof EventTarget];
            }"""
        ) == [1, 1, 3, "", "", 0, True]
        pages.visit().close(1012)
        opened(page, 2)
        page.evaluate(
            "() => { bridge.socket.onmessage = ({data}) => { window.length = data.byteLength; } }"
        )
        pages.visit().send(b"binary")
        page.evaluate("until(() => window.length === 6)")


class TestReconnecting:
    def test_it_comes_back_after_every_code(self, page, pages):
        connect(page, pages)
        codes = [1000, 1001, 1002, 1008, 1011, 1012, 1013, 3000, 4000, 4404]
        for code in codes:
            pages.visit().close(code)
        pages.visit().cut()
        last = pages.visit()
        opened(page, len(codes) + 2)
        last.send("here")
        page.evaluate("until(() => heard.includes('message here'))")
        closed = [event for event in heard(page) if event.startswith("close")]
        assert closed == [f"close {code}" for code in (*codes, 1006)]

    def test_it_comes_back_to_a_server_that_was_away(self, page, pages):
        connect(page, pages)
        visit = pages.visit()
        pages.away = True
        visit.close(1012)
        page.evaluate("until(() => heard.filter((e) => e === 'error').length >= 3)")
        pages.away = False
        opened(page, 2)
        assert pages.visit().path == "/ws/"

    def test_not_after_the_page_has_closed_it(self, page, pages):
        connect(page, pages)
        opened(page)
        assert page.evaluate(
            "() => { bridge.socket.close(); return [...heard]; }"  # At once: fastClose.
        ) == ["open", "close 1000"]
        assert pages.visit().left() == 1000
        assert delays(page) == []
        assert page.evaluate("bridge.send('late')") is False
        assert heard(page) == ["open", "close 1000", 'drop "late"']
        page.evaluate("bridge.socket.close()")
        assert page.evaluate("heard.length") == 3

    def test_not_when_the_page_closes_it_while_it_is_away(self, page, pages):
        page.clock.install()
        pages.away = True
        connect(page, pages, "{debug: true}")
        page.evaluate(
            """() => until(() => said.some((line) => line.includes("next try")))
                .then(() => bridge.socket.close())"""
        )
        page.clock.fast_forward(60_000)
        tries = page.evaluate("said.filter((line) => line.includes('connecting'))")
        assert len(tries) == 1
        assert heard(page) == ["error", "close 1006"]

    def test_not_after_a_code_that_the_page_takes_as_the_last_word(self, page, pages):
        connect(page, pages)
        page.evaluate(
            """() => bridge.socket.addEventListener("close", (event) => {
                if (event.code === 4001) bridge.socket.close();
            })"""
        )
        pages.visit().close(4000)
        pages.visit().close(4001)
        page.evaluate("until(() => heard.includes('close 4001'))")
        assert len(delays(page)) == 1
        assert heard(page) == ["open", "close 4000", "open", "close 4001"]

    def test_keep_closed_may_be_false(self, page, pages):
        connect(page, pages)
        opened(page)
        page.evaluate("bridge.socket.close(3001, 'again', {keepClosed: false, delay: 77})")
        assert pages.visit().left() == 3001
        opened(page, 2)
        pages.visit()
        assert delays(page) == [77]

    def test_fast_close_may_be_false(self, page, pages):
        connect(page, pages)
        opened(page)
        assert (
            page.evaluate(
                "() => { bridge.socket.close(4000, '', {fastClose: false}); return heard.length; }"
            )
            == 1
        )
        page.evaluate("until(() => heard.includes('close 4000'))")
        assert delays(page) == []

    def test_a_code_that_no_page_may_send_changes_nothing(self, page, pages):
        connect(page, pages)
        opened(page)
        with pytest.raises(Exception, match="1012"):
            page.evaluate("bridge.socket.close(1012)")
        assert page.evaluate("bridge.socket.readyState") == 1
        pages.visit().close(1001)
        opened(page, 2)


class TestBackOff:
    def test_the_delay_grows_to_its_bound_and_is_random(self, page, pages):
        """The defaults: 1.5 to 3 s at first, 1.3 times as much each time, at most 10 s."""
        page.clock.install()
        pages.away = True
        connect(page, pages, "{debug: true}")
        for tries in range(1, 11):
            page.evaluate(
                "(n) => until(() => said.filter((line) => line.includes('next')).length >= n)",
                tries,
            )
            page.clock.fast_forward(delays(page)[-1] + 1)
        for tries, delay in enumerate(delays(page)):
            most = min(10_000, 3000 * 1.3**tries)
            assert max(1500, most / 2) - 1 <= delay <= most + 1, (tries, delay)

    def test_pages_that_lose_their_server_together_come_back_apart(self, page, pages):
        connect(page, pages, "{debug: true}")
        visits = [pages.visit()]
        for _ in range(11):
            page.evaluate(
                """() => {
                    window.another = new channels.WebSocketBridge();
                    another.connect("/", [], { debug: true });
                }"""
            )
            visits.append(pages.visit())
        for visit in visits:
            visit.close(1012)
        page.evaluate("until(() => said.filter((line) => line.includes('next')).length === 12)")
        assert all(1499 <= delay <= 3001 for delay in delays(page))
        assert len(set(delays(page))) > 6

    def test_equal_bounds_are_the_delay(self, page, pages):
        connect(page, pages, "{minReconnectionDelay: 5, maxReconnectionDelay: 5, debug: true}")
        for _ in range(3):
            pages.visit().close(1012)
        pages.visit()
        assert delays(page) == [5, 5, 5]

    def test_it_begins_again_only_when_a_connection_has_lasted(self, page, pages):
        page.clock.install()
        pages.hasty = True
        connect(
            page,
            pages,
            "{minReconnectionDelay: 1, reconnectionDelayGrowFactor: 4, debug: true}",
        )
        opened(page, 4)  # Opened it was, each time: in 1.x this would have been at full speed.
        pages.hasty = False
        visit = pages.visit()
        grown = delays(page)
        for tries, delay in enumerate(grown):
            assert 4**tries <= delay <= 2 * 4**tries
        opened(page, len(grown) + 1)
        page.clock.fast_forward(5000)  # minUptime
        visit.close(1012)
        pages.visit()
        assert 1 <= delays(page)[-1] <= 2

    def test_max_retries(self, page, pages):
        pages.away = True
        pages.voice.clear()
        connect(page, pages, "{minReconnectionDelay: 1, maxRetries: 2, debug: true}")
        page.evaluate("bridge.send('waits')")
        pages.voice.set()
        page.evaluate("until(() => heard.includes('error EHOSTDOWN'))")
        assert heard(page) == [
            *("error", "close 1006") * 3,
            'drop "waits"',
            "error EHOSTDOWN",
        ]
        assert len(delays(page)) == 2
        assert page.evaluate("[bridge.socket.queued, bridge.socket.dropped]") == [0, 1]

    def test_a_handshake_without_an_answer(self, page, pages):
        pages.voice.clear()
        connect(page, pages, "{minReconnectionDelay: 1, connectionTimeout: 20}")
        page.evaluate("until(() => heard.includes('close 1006'))")
        assert heard(page)[:3] == ["error ETIMEDOUT", "error", "close 1006"]
        page.evaluate("bridge.socket.close()")
        page.evaluate(
            """() => {
                bridge.connect("/", [], { connectionTimeout: Infinity });
                watch(bridge.socket);
            }"""
        )
        pages.voice.set()
        opened(page)


class TestQueue:
    def test_frames_wait_for_the_connection(self, page, pages):
        pages.voice.clear()
        connect(page, pages)
        page.evaluate(
            """() => {
                bridge.socket.addEventListener("open", () => bridge.send("of the page"));
                bridge.send("first");
                bridge.stream("a").send("second");
            }"""
        )
        assert page.evaluate("bridge.socket.queued") == 2
        pages.voice.set()
        visit = pages.visit()
        # A listener of "open" goes first: it says who the page is.
        assert [visit.frame() for _ in range(3)] == [
            '"of the page"',
            '"first"',
            '{"stream":"a","payload":"second"}',
        ]
        assert page.evaluate("[bridge.socket.queued, bridge.socket.dropped]") == [0, 0]

    def test_after_a_loss_too_and_no_frame_twice(self, page, pages):
        connect(page, pages)
        opened(page)
        page.evaluate("bridge.send('before')")
        first = pages.visit()
        assert first.frame() == '"before"'
        pages.away = True
        first.close(1012)
        page.evaluate("until(() => heard.includes('close 1012'))")
        page.evaluate("for (let i = 0; i < 3; i++) bridge.send(i)")
        pages.away = False
        second = pages.visit()
        assert [second.frame() for _ in range(3)] == ["0", "1", "2"]
        page.evaluate("bridge.send('after')")
        assert second.frame() == '"after"'

    def test_so_many_and_no_more(self, page, pages):
        pages.voice.clear()
        connect(page, pages, "{maxEnqueuedMessages: 2}")
        assert page.evaluate("[1, 2, 3, 4].map((n) => bridge.send(n))") == [
            True,
            True,
            False,
            False,
        ]
        assert page.evaluate("[bridge.socket.queued, bridge.socket.dropped]") == [2, 2]
        assert heard(page) == ["drop 3", "drop 4"]
        [warning] = page.evaluate("said")
        assert warning.startswith("warning: djchan: 2 frames wait for ws://")
        assert "maxEnqueuedMessages" in warning
        pages.voice.set()
        visit = pages.visit()
        assert [visit.frame(), visit.frame()] == ["1", "2"]
        opened(page)
        assert page.evaluate("bridge.send(5)") is True
        assert visit.frame() == "5"

    def test_a_hundred_when_nothing_is_said(self, page, pages):
        pages.voice.clear()
        connect(page, pages, "{}")
        assert (
            page.evaluate(
                """() => {
                let kept = 0;
                while (kept < 1000 && bridge.send(kept)) kept += 1;
                return kept;
            }"""
            )
            == 100
        )

    def test_none_as_in_1_x(self, page, pages):
        pages.voice.clear()
        connect(page, pages, "{maxEnqueuedMessages: 0}")
        assert page.evaluate("bridge.send(1)") is False
        assert page.evaluate("said") == []  # As asked for.
        assert heard(page) == ["drop 1"]


def test_a_page_of_the_example_site_through_a_restart_of_the_server(
    browser: Browser, processes: Processes, tmp_path: Path, database: Path
) -> None:
    """djchan's own runserver: the file is found, frames go both ways, a queued one arrives."""
    site = Site(processes, tmp_path, "", database=database)
    site.start_runserver()
    page = browser.new_context().new_page()
    page.goto(f"{site.address}/rooms/")
    said = page.evaluate(
        """async () => {
            const { WebSocketBridge } = await import("/static/djchan/js/websocketbridge.mjs");
            window.lines = [];
            window.codes = [];
            window.bridge = new WebSocketBridge({ minReconnectionDelay: 50 });
            window.said = (text) => new Promise((settled) => {
                bridge.listen((line) => line.text === text && settled(line));
            });
            bridge.connect("/ws/rooms/lobby/?name=Ada");
            bridge.socket.addEventListener("close", ({ code }) => codes.push(code));
            const answer = said("hello");
            bridge.send({ text: "hello" });
            return await answer;
        }"""
    )
    assert (said["kind"], said["name"], said["text"]) == ("said", "Ada", "hello")

    assert processes.started[-1].stop() == 0
    page.evaluate(
        """() => {
            window.answer = said("again");
            bridge.send({ text: "again" });
        }"""
    )
    site.start_runserver()
    answer = page.evaluate("answer")
    assert (answer["kind"], answer["name"], answer["text"]) == ("said", "Ada", "again")
    assert page.evaluate("codes[0]") == 1012
    page.context.close()
