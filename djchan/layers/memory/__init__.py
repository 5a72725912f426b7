"""The layer inside this process's memory: for ``runserver``, tests, one-process sites."""
