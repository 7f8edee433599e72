"""Soak of the page `edram-fer web`: many requests at once, bad ones among them, for as long as it takes.

    python -m benchmarks.soak_web --requests 10000 --at-once 50

Starts the page with the included model in a process of its own, with an empty folder for temporary files. Each client
sends one request after the other: faces as JSON, photos, the files of the page, and a third of bad ones: damaged
images, bytes that are no image, no body, bad JSON, forms, bodies that end early, unknown addresses. Request i follows
from (seed, i). An answer with the status 500, a connection that is closed without an answer to a complete request, and
a temporary file that remains are failures; 503 sends a client away because too many wait, and it tries again.

Prints as JSON how often each status was answered, the resident memory of the server from a tenth of the requests to
the next, how much more it is at the end than after the warm-up (the first fifth), and the files that remain.
"""

import argparse
import base64
import collections
import concurrent.futures
import contextlib
import http.client
import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import psutil
from PIL import Image

from benchmarks.peak_memory import MIB

FACE, PHOTO = 48, 320  # pixels of the sides
FOREIGN = {".ses"}  # one file of ONNX Runtime in the folder for temporary files
SAMPLE = 20  # requests between two measurements of memory
LIMIT = 0.03  # growth after the warm-up, as a share


class Request(NamedTuple):
    """A request and whether its body ends before the announced length."""

    method: str
    path: str
    body: bytes = b""
    kind: str = "application/octet-stream"
    incomplete: bool = False


def make_request(seed: int, index: int) -> Request:
    """Request `index` of a soak."""
    rng = random.Random(f"{seed} {index}")
    face, photo = _image(rng, FACE, "PNG"), _image(rng, PHOTO, rng.choice(("PNG", "JPEG")))
    body = json.dumps({"face": base64.b64encode(face).decode(), "glimpses": rng.randint(1, 6)}).encode()
    settings = rng.choice(("", "?whole=1", "?preview=1", "?whole=1&zoom_limit=0.5"))
    if rng.random() < 2 / 3:
        good = [Request("POST", "/api/face", body)] * 4 + [Request("POST", f"/api/predict{settings}", photo)] * 2
        return rng.choice([*good, Request("GET", "/"), Request("GET", "/page.js"), Request("GET", "/api/models")])
    return rng.choice(
        (
            Request("POST", f"/api/predict{settings}", photo[: rng.randrange(len(photo))]),
            Request("POST", "/api/predict", rng.randbytes(rng.choice((1, 100, 100_000)))),
            Request("POST", "/api/predict"),
            Request("POST", "/api/predict?zoom_limit=9", photo),
            Request("POST", "/api/face", body[: rng.randrange(len(body))]),
            Request("POST", "/api/face", b"[" * 50_000),
            Request("POST", "/api/face", bytes(2_100_000)),
            Request("POST", "/api/predict", photo, "multipart/form-data; boundary=a"),
            Request("POST", "/api/video", rng.randbytes(1000)),
            Request("POST", "/api/predict", photo, incomplete=True),
            Request("GET", f"/{rng.randrange(10**6)}"),
        )
    )


def _image(rng: random.Random, side: int, kind: str) -> bytes:
    file = io.BytesIO()
    pixels = Image.frombytes("L", (6, 6), rng.randbytes(36)).resize((side, side), Image.Resampling.BICUBIC)
    pixels.save(file, kind)
    return file.getvalue()


@contextlib.contextmanager
def server(temporary: Path) -> Generator[tuple[psutil.Process, int]]:
    """The process of the page and its port; its temporary files are in a folder."""
    command = [sys.executable, "-m", "edram_fer", "web", "--port", "0"]
    environment = os.environ | {"TMPDIR": str(temporary)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield psutil.Process(process.pid), int(line.split("/")[2].rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(30)


def send(port: int, request: Request) -> str:
    """The status of the answer; "no answer" if the connection is closed without one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        if request.incomplete:
            with socket.create_connection(("127.0.0.1", port), timeout=120) as raw:
                head = f"POST {request.path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(request.body)}\r\n\r\n"
                raw.sendall(head.encode() + request.body[: len(request.body) // 2])
            return "hung up"
        connection.request(request.method, request.path, request.body or None, {"content-type": request.kind})
        answer = connection.getresponse()
        answer.read()
        return str(answer.status)
    except (OSError, http.client.HTTPException):
        return "no answer"
    finally:
        connection.close()


def soak(
    port: int, process: psutil.Process, count: int, at_once: int, seed: int, seconds: float
) -> tuple[dict[str, int], list[float]]:
    """Send the requests, until the time is over.

    Returns:
        how often each status was answered, and the resident memory in MiB after each SAMPLE requests.
    """
    statuses, memory, lock = collections.Counter(), [], threading.Lock()
    numbers, end = iter(range(count)), time.monotonic() + seconds

    def client() -> None:
        while True:
            with lock:
                index = next(numbers, None) if time.monotonic() < end else None
                if index is not None and index % SAMPLE == SAMPLE - 1:
                    memory.append(round(process.memory_info().rss / MIB, 1))
            if index is None:
                return
            request = make_request(seed, index)
            while (status := send(port, request)) == "503":
                with lock:
                    statuses[status] += 1
                time.sleep(0.2)
            with lock:
                statuses[status] += 1

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for running in [pool.submit(client) for _ in range(at_once)]:
            running.result()
    memory.append(round(process.memory_info().rss / MIB, 1))
    return dict(statuses), memory


def main() -> None:
    """Soak the page and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="in all (default %(default)s)")
    parser.add_argument("--at-once", type=int, default=50, help="clients at the same time (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the requests (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="after which no more are sent")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        start = time.monotonic()
        with server(Path(name)) as (process, port):
            statuses, memory = soak(port, process, options.requests, options.at_once, options.seed, options.seconds)
            time.sleep(2)  # for the clean-up after those that hung up
            remaining = sorted(set(os.listdir(name)) - FOREIGN)
            alive = process.is_running()
        warm = memory[len(memory) // 5]
        growth = memory[-1] / warm - 1
        report = {
            **{
                "requests": sum(statuses.values()) - statuses.get("503", 0),
                "at_once": options.at_once,
                "seed": options.seed,
            },
            **{"seconds": round(time.monotonic() - start, 1), "statuses": dict(sorted(statuses.items()))},
            **{
                "memory_mib": memory[:: max(len(memory) // 10, 1)],
                "growth_after_warm_up": round(growth, 4),
                "remaining_files": remaining,
            },
        }
    print(json.dumps(report, indent=1))
    if not alive or remaining or growth > LIMIT or {"500", "no answer"} & set(statuses):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
