"""manage.py of the small project; START is how its test runner starts processes."""

import multiprocessing
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "suite.settings")
    if "START" in os.environ:
        multiprocessing.set_start_method(os.environ["START"])
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
