import os
from pathlib import Path


def mark(text: str) -> None:
    with Path(os.environ["MARKS"]).open("a") as marks:
        marks.write(f"{os.getpid()} {text}\n")
