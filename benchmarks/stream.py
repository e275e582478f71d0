"""Memory of `pneumo predict -` over many images: `python -m benchmarks.stream [--images 100000] [--model models/best]`.

The images of FOLDER, in turn, are named on standard input; the resident memory of the process is read from /proc after
a hundredth, a tenth, half and all of them.
"""

import argparse
import itertools
import subprocess
import sys
import threading
import time
from pathlib import Path

from benchmarks import films

AT = (0.01, 0.1, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory of predict over many images.")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--model", default="models/best")
    parser.add_argument("--folder", type=Path, default=Path("films"), help=films.UNPACKED)
    arguments = parser.parse_args()
    paths = films.below(arguments.folder)
    command = [sys.executable, "-m", "pneumo.cli", "predict", "-", "--format", "csv", "--model", arguments.model]
    started = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        threading.Thread(target=_name, args=(process, paths, arguments.images), daemon=True).start()
        assert process.stdout is not None
        due = [max(1, round(share * arguments.images)) for share in AT]
        for count, _ in enumerate(process.stdout):  # the first line is the header
            if count == due[0]:
                seconds = time.perf_counter() - started
                print(
                    f"{count:>9,} images  {_resident(process.pid):6.0f} MiB  {count / seconds:6.0f} images/s",
                    flush=True,
                )
                due.pop(0)
                if not due:
                    break
        process.kill()


def _name(process: subprocess.Popen[str], paths: list[Path], count: int) -> None:
    """More than `count` of them, so that the process still runs when its memory is read."""
    assert process.stdin is not None
    try:
        for path in itertools.islice(itertools.cycle(paths), count + 1000):
            process.stdin.write(f"{path}\n")
    except (BrokenPipeError, ValueError):
        pass


def _resident(pid: int) -> float:
    """MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    main()
