"""The interface on real servers; most of it on Daphne, whose adapter is tested here.

When Daphne's shape changes, the first tests here fail: see djchan/interface/daphne.py.
"""

import asyncio
import datetime
import json
import re
import signal
import socket
import ssl
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect as aconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect, unix_connect

from tests.support.waiting import free_port, listening, wait_for

APPLICATION = "tests.interface.obedient:application"


@pytest.fixture
def daphne(processes):
    return processes.daphne(APPLICATION, "-v", "2")


@pytest.fixture(params=["daphne", "uvicorn"])
def server(request, processes):
    return getattr(processes, request.param)(APPLICATION)


@contextmanager
def opened(server, path="/"):
    url = f"ws://127.0.0.1:{server.port}{path}"
    with connect(url, compression=None, max_size=None, open_timeout=5, close_timeout=5) as client:
        yield client


def get(server, path="/", timeout=5):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=timeout) as got:
        return got.status, got.read().decode()


def counts(server):
    return json.loads(get(server, "/counts/")[1])


def deliveries(server):
    # With -v 2, Daphne puts a date before what is printed.
    return [json.loads(line) for line in re.findall(r'\{"channel".*\}', server.output())]


def closed(client):
    """The close code that the client gets next."""
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(timeout=5)
    assert caught.value.rcvd is not None, "the connection was lost, not closed"
    return caught.value.rcvd.code


def test_daphne_has_the_shape_that_the_adapter_knows(daphne):
    with opened(daphne, "/shape/") as client:
        assert client.recv(timeout=5) == "WebSocketProtocol"
    assert get(daphne, "/shape/") == (200, "WebRequest")


def test_other_servers_do_not_have_it(processes):
    uvicorn = processes.uvicorn(APPLICATION)
    with opened(uvicorn, "/shape/") as client:
        assert client.recv(timeout=5) == "NoneType"


def test_frames_of_all_sizes_come_back(server):
    with opened(server) as client:
        for size in (1, 125, 126, 65535, 65536, 500_000):
            client.send("x" * size)
            assert client.recv(timeout=5) == "x" * size
            client.send(b"x" * size)
            assert client.recv(timeout=5) == b"x" * size
        client.send("äöü€😀")
        assert client.recv(timeout=5) == "äöü€😀"
        client.send("")
        assert client.recv(timeout=5) == ""
        client.send("empty")
        assert [client.recv(timeout=5), client.recv(timeout=5)] == ["", b""]
        client.send("big 3000000")
        assert client.recv(timeout=5) == "x" * 3_000_000


def test_many_frames_come_back_in_order(server):
    with opened(server) as client:
        for number in range(500):
            client.send(str(number))
            if number % 50 == 49:
                for back in range(number - 49, number + 1):
                    assert client.recv(timeout=5) == str(back)


def test_every_close_code_reaches_the_client_of_daphne(daphne):
    for times, code in enumerate([1000, 1009, 1011, 1012, 1013, 4001], 1):
        with opened(daphne) as client:
            client.send(f"close {code}")
            assert closed(client) == code
        daphne.wait_printed("websocket.disconnect", timeout=5, times=times)
        assert deliveries(daphne)[-1]["code"] == code


def test_close_codes_on_another_server(processes):
    uvicorn = processes.uvicorn(APPLICATION)
    with opened(uvicorn) as client:
        client.send("close 1013")
        assert closed(client) == 1013


def test_the_clients_code_is_told(server):
    with opened(server) as client:
        client.send("hello")
        assert client.recv(timeout=5) == "hello"
        client.close(4321)
    server.wait_printed("websocket.disconnect", timeout=5)
    last = deliveries(server)[-1]
    assert (last["code"], last["order"]) == (4321, 2)


def test_a_handshake_that_nobody_answers_is_a_403_not_a_reset(server):
    with pytest.raises(InvalidStatus) as caught, opened(server, "/silent/"):
        pass
    assert caught.value.response.status_code == 403


def test_requests(server):
    assert get(server) == (200, "hello")
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(server, "/lost/")
    assert caught.value.code == 503
    caught.value.close()
    assert get(server) == (200, "hello")


def test_a_response_that_was_begun_and_lost_has_no_clean_end(server):
    with socket.create_connection(("127.0.0.1", server.port), 5) as raw:
        raw.sendall(b"GET /cut/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = b""
        try:
            while piece := raw.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
    assert b"200 OK" in got
    assert b"\r\n0\r\n\r\n" not in got
    assert get(server) == (200, "hello")


def test_a_client_that_never_reads_is_closed_and_nobody_else_waits(server):
    with opened(server) as reader, socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", server.port))
        raw.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b"101" in raw.recv(1024)
        before = server.rss()
        for _ in range(30):
            reader.send("flood 10")
            for _ in range(10):
                assert len(reader.recv(timeout=5)) == 65536
        assert counts(server)["outgoing.overflow"] == 1
        assert server.rss() - before < 12 * 1024 * 1024, "19 MiB were sent"
        wait_for(
            lambda: any(d["channel"] == "websocket.disconnect" for d in deliveries(server)),
            timeout=15,
            what="the disconnect of the client that did not read",
        )


def test_a_response_whose_client_does_not_read_is_cut_at_the_limit(server):
    get(server)
    before = server.rss()
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(10)
        raw.connect(("127.0.0.1", server.port))
        raw.sendall(b"GET /endless/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in raw.recv(100)
        wait_for(
            lambda: counts(server).get("http.overflow") == 1, timeout=10, what="it is given up"
        )
        assert server.rss() - before < 12 * 1024 * 1024, "40 MiB were to be sent"
        got = b""
        try:
            while piece := raw.recv(65536):
                got = (got + piece)[-100:]
        except ConnectionResetError:
            pass
        assert not got.endswith(b"\r\n0\r\n\r\n"), "it must not look whole"
    wait_for(lambda: counts(server)["connections"] == 1, timeout=5, what="its record ends")


def test_at_sigterm_the_port_is_closed_at_once(daphne):
    with opened(daphne) as client:
        client.send("later worked")
        wait_for(lambda: len(deliveries(daphne)) >= 2, timeout=5, what="the frame's delivery")
        daphne.send_signal(signal.SIGTERM)
        wait_for(lambda: not listening(daphne.port), timeout=0.4, what="the port is closed")
        assert client.recv(timeout=5) == "worked", "and it still lives"
        assert closed(client) == 1012
    assert daphne.wait_exit(timeout=10) == 0


def test_a_kept_connection_is_told_later_while_the_server_drains(daphne):
    with opened(daphne) as client, socket.create_connection(("127.0.0.1", daphne.port), 5) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in raw.recv(65536)
        client.send("later worked")
        wait_for(lambda: len(deliveries(daphne)) >= 3, timeout=5, what="the frame's delivery")
        daphne.send_signal(signal.SIGTERM)
        wait_for(lambda: not listening(daphne.port), timeout=0.4, what="the port is closed")
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"503 Service Unavailable" in raw.recv(65536)
        assert client.recv(timeout=5) == "worked"
    assert daphne.wait_exit(timeout=10) == 0


def test_sigterm_waits_for_answers_and_closes_1012(daphne):
    with opened(daphne) as client, opened(daphne) as idle:
        assert get(daphne) == (200, "hello")
        client.send("later worked")
        wait_for(lambda: len(deliveries(daphne)) >= 4, timeout=5, what="the frame's delivery")
        daphne.send_signal(signal.SIGTERM)
        assert client.recv(timeout=5) == "worked"
        assert closed(client) == 1012
        assert closed(idle) == 1012
    assert daphne.wait_exit(timeout=10) == 0
    ends = [d["code"] for d in deliveries(daphne) if d["channel"] == "websocket.disconnect"]
    assert ends == [1012, 1012], "the disconnects were enqueued"


def test_sigterm_waits_for_a_response(daphne):
    with socket.create_connection(("127.0.0.1", daphne.port), 5) as raw:
        raw.sendall(b"GET /later/ HTTP/1.0\r\n\r\n")
        wait_for(lambda: deliveries(daphne), timeout=5, what="the request's delivery")
        daphne.send_signal(signal.SIGTERM)
        got = b""
        while piece := raw.recv(65536):
            got += piece
    assert b"200 OK" in got and got.endswith(b"hello")
    assert daphne.wait_exit(timeout=10) == 0


@pytest.fixture
def certificate(tmp_path):
    """(key file, certificate file) for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "key.pem", tmp_path / "cert.pem"
    pem = serialization.Encoding.PEM
    clear = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[0].write_bytes(key.private_bytes(pem, *clear))
    files[1].write_bytes(signed.public_bytes(pem))
    return files


@pytest.mark.asyncio
async def test_tls_on_daphne(processes, certificate):
    key, cert = certificate
    port = free_port()
    endpoint = f"ssl:{port}:privateKey={key}:certKey={cert}:interface=127.0.0.1"
    server = processes.python("-m", "daphne", "-e", endpoint, APPLICATION, name="daphne")
    server.port = port
    server.wait_listening()
    url = f"wss://localhost:{port}/"
    # Not the synchronous client: it writes to a TLS socket while another thread reads it, and
    # now and then its request never left this process.
    options = {"ssl": ssl.create_default_context(cafile=str(cert)), "compression": None}
    async with asyncio.timeout(15):
        async with aconnect(f"{url}shape/", **options) as client:
            assert await client.recv() == "WebSocketProtocol"
        async with aconnect(url, max_size=None, **options) as client:
            for size in (1, 200, 70_000):
                await client.send("x" * size)
                assert await client.recv() == "x" * size
            await client.send("big 3000000")
            assert await client.recv() == "x" * 3_000_000
            await client.send("close 1013")
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1013


def accepts(path):
    """Whether somebody accepts connections there: a socket has its name before that."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_a_unix_socket_on_daphne(processes, tmp_path):
    path = tmp_path / "daphne.sock"
    processes.python("-m", "daphne", "-u", str(path), APPLICATION, name="daphne")
    wait_for(lambda: accepts(path), timeout=15, what="the socket of Daphne")
    with unix_connect(str(path), compression=None, max_size=None, open_timeout=5) as client:
        for size in (1, 70_000):
            client.send("x" * size)
            assert client.recv(timeout=5) == "x" * size
        client.send("big 3000000")
        assert client.recv(timeout=5) == "x" * 3_000_000
        client.send("close 1012")
        assert closed(client) == 1012


def test_uvicorn_says_goodbye_too(processes):
    uvicorn = processes.uvicorn(APPLICATION)
    with opened(uvicorn) as client:
        client.send("hello")
        assert client.recv(timeout=5) == "hello"
        uvicorn.send_signal(signal.SIGTERM)
        assert closed(client) == 1012
    uvicorn.wait_exit(timeout=10)
    assert deliveries(uvicorn)[-1]["channel"] == "websocket.disconnect"
