import threading
import time

from djchan.exceptions import BrokerUnavailable
from djchan.lanes.outage import Outage
from tests.support.waiting import wait_for


def test_who_waits_is_woken_by_the_first_answer():
    outage = Outage()
    outage.began(BrokerUnavailable())
    waited = []

    def wait() -> None:
        began = time.monotonic()
        outage.wait(10)
        waited.append(time.monotonic() - began)

    thread = threading.Thread(target=wait)
    thread.start()
    outage.ended()
    wait_for(lambda: waited, timeout=5, what="woken")
    assert waited[0] < 5
    thread.join(5)


def test_each_error_is_a_doubt_and_an_outage_is_one_line(caplog):
    outage = Outage()
    for _ in range(3):
        outage.began(BrokerUnavailable("away"))
    outage.doubt()
    assert outage.doubts == 4
    assert caplog.text.count("away") == 1
