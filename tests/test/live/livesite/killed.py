"""A live test whose process is killed: ``manage.py test livesite.killed``."""

import os
import signal

from django.conf import settings

from livesite.cases import Case


class KilledTests(Case):
    def test_nothing(self):
        (settings.FOLDER / "pid").write_text(str(self.about()["pid"]))
        os.kill(os.getpid(), signal.SIGKILL)
