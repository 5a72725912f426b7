"""djchan.request: what a view's request says of its body, however that came."""

import pytest

from djchan.message import Message
from djchan.request import AsgiRequest

BOUNDARY = b"--b\r\nContent-Disposition: form-data; name="
FORM = BOUNDARY + b'"a"\r\n\r\n1\r\n' + BOUNDARY + b'"f"; filename="x"\r\n\r\nfile\r\n--b--\r\n'
MULTIPART = [b"content-type", b"multipart/form-data; boundary=b"]
CHUNKED = [b"transfer-encoding", b"chunked"]


class Chunks:
    """A layer that has the chunks of a body."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)

    def receive(self, channels, block=False):
        content = self.chunks.pop(0)
        return channels[0], {"content": content, "more_content": bool(self.chunks)}


def request(*headers, body=b"", chunks=(), **content):
    if chunks:
        content["body_channel"] = "http.request.body?x"
    whole = {
        "path": "/",
        "method": "POST",
        "headers": [[b"host", b"testserver"], *headers],
        "body": body,
        **content,
    }
    return AsgiRequest(Message(whole, "http.request", Chunks(*chunks)))


class TestTheLengthOfTheBody:
    @pytest.mark.parametrize("sent", [{"body": FORM}, {"chunks": (FORM[:40], FORM[40:])}])
    @pytest.mark.parametrize(
        "headers", [[CHUNKED], [], [[b"content-length", b"0"]], [[b"content-length", b"7"]]]
    )
    def test_it_is_that_of_what_was_read(self, headers, sent):
        made = request(MULTIPART, *headers, **sent)
        length = str(len(FORM))
        assert made.META["CONTENT_LENGTH"] == made.headers["Content-Length"] == length
        lengths = [value for name, value in made.scope["headers"] if name == b"content-length"]
        assert lengths == [length.encode()]
        assert made.body == FORM
        made.close()

    @pytest.mark.parametrize("headers", [[CHUNKED], []])
    def test_a_form_without_one_arrives_with_its_files(self, headers):
        made = request(MULTIPART, *headers, body=FORM)
        assert made.POST.dict() == {"a": "1"}
        assert made.FILES["f"].read() == b"file"

    def test_a_request_without_a_body_gets_none(self):
        assert "CONTENT_LENGTH" not in request(method="GET").META
        assert request([b"content-length", b"0"]).META["CONTENT_LENGTH"] == "0"


def test_no_transfer_encoding_reaches_the_view():
    made = request(CHUNKED, body=b"whole")
    assert "Transfer-Encoding" not in made.headers
    assert "HTTP_TRANSFER_ENCODING" not in made.META
    assert b"transfer-encoding" not in dict(made.scope["headers"])
    assert made.body == b"whole"
