"""The server of the page: its routes and limits, and the answers as JSON."""

import asyncio
import base64
import binascii
import contextlib
import importlib.resources
import ipaddress
import json
import socket
import tempfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import cv2
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edram_fer.errors import UserError
from edram_fer.prediction import video
from edram_fer.prediction.images import InputImage, decode
from edram_fer.prediction.tracks import FaceTracks
from edram_fer.preprocessing import photos
from edram_fer.web.answers import Analyst, Settings, data_url

NOTICE = (
    "A guess about an expression, not about a feeling. In the European Union, inferring the emotions of people at work "
    "or in education is prohibited, except for medical or safety reasons (AI Act, Art. 5(1)(f))."
)
MAX_PHOTO, MAX_FACE, MAX_FILM = 25_000_000, 2_000_000, 300_000_000  # bytes of an upload
MAX_READ = 1_000_000_000  # bytes that are read of an upload that is too large
MAX_PIXELS = 50_000_000  # of a photo or of a frame: 150 MB decoded
PREVIEW, FILM_PREVIEW = 1600, 640  # pixels: longer side of the image that the page shows
RUNNING, PLACES = 2, 24  # requests that are answered at the same time; and with those that upload or wait
PATIENCE = 300  # seconds that an upload may take
CONNECTIONS = 200  # open ones; browsers keep some
SHOWN_FRAMES, MAX_FRAMES = 150, 1000  # of one film: about so many are chosen; at most
STATIC = importlib.resources.files("edram_fer.web").joinpath("static")
PAGES = {"/": "index.html"} | {f"/{name}": name for name in ("style.css", "page.js", "drawing.js")}
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Refusal(HTTPException):
    """A request that is answered with a status and one sentence."""


def application(
    analysts: Sequence[Analyst],
    *,
    local: bool = True,
    folder: Path | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Starlette:
    """The page and its JSON interface.

    Args:
        analysts: the models that can be asked; the first one is the default.
        local: answer only requests for this machine's own names, so that no other site can ask in a visitor's name.
        folder: for uploads; None: the system's folder for temporary files.
        stopping: whether the server has been told to stop, so that films end after their current frame.
    """
    service = _Service({analyst.name: analyst for analyst in analysts}, folder, stopping)
    routes = [
        *(Route(path, _static(name)) for path, name in PAGES.items()),
        Route("/api/models", service.models),
        Route("/api/predict", service.predict, methods=["POST"]),
        Route("/api/video", service.film, methods=["POST"]),
        Route("/api/face", service.face, methods=["POST"]),
    ]
    errors: Mapping[Any, Any] = {
        HTTPException: _refused,
        UserError: _unusable,
        ClientDisconnect: _hung_up,
        Exception: _failed,
    }
    return Starlette(routes=routes, middleware=[Middleware(_Guard, local=local)], exception_handlers=errors)


def serve(analysts: Sequence[Analyst], host: str, port: int) -> None:
    """Serve the page until Ctrl-C.

    Args:
        analysts: see `application`.
        host: address to listen at; others than this machine's own are open to whoever reaches it.
        port: 0: any free one.

    Raises:
        UserError: the address cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:  # the last one for a name with an empty part
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot listen at {host}, port {port}: {reason}; try another --port or --host") from error
    local = _is_local(listener.getsockname()[0])
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{listener.getsockname()[1]}/  (Ctrl-C stops)", flush=True)
    if not local:
        print("Anyone who can reach this machine can use the page; the connection is not encrypted.", flush=True)
    warm_up = threading.Thread(target=_warm_up, args=(analysts,), daemon=True)
    warm_up.start()
    config = uvicorn.Config(
        application(analysts, local=local, stopping=lambda: server.should_exit),
        log_config=None,  # the logging of the process is not replaced, with the handlers of others closed
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[listener])
    finally:
        warm_up.join()  # a process that ends while another thread is inside TensorFlow is aborted


def _warm_up(analysts: Sequence[Analyst]) -> None:
    for analyst in analysts:
        analyst.warm_up()


class _Guard:
    """Refuses requests that come from other sites, and adds HEADERS to every response."""

    def __init__(self, app: ASGIApp, local: bool) -> None:
        self.app, self.local = app, local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        request = Request(scope)
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if self.local and not _is_local(_address(f"//{host}").hostname):
            response = JSONResponse({"error": "this page is for the machine that it runs on"}, 403)
        elif origin is not None and _address(origin).netloc != host:
            response = JSONResponse({"error": "requests from other sites are refused"}, 403)
        else:
            await self.app(scope, receive, send_with_headers)
            return
        await response(scope, receive, send_with_headers)


def _is_local(name: str | None) -> bool:
    """Whether a name or an address always stands for this machine itself. Other names may, but not for long."""
    try:
        return name == "localhost" or ipaddress.ip_address(name or "").is_loopback
    except ValueError:
        return False


def _address(text: str) -> SplitResult:
    """The parts of an address, all empty if it is none."""
    try:
        return urlsplit(text)
    except ValueError:
        return urlsplit("")


class _Service:
    def __init__(self, analysts: Mapping[str, Analyst], folder: Path | None, stopping: Callable[[], bool]) -> None:
        self.analysts, self.folder, self.stopping = analysts, folder, stopping
        self.running = asyncio.Semaphore(RUNNING)
        self.taken = 0

    async def models(self, request: Request) -> Response:
        limits = {"photo": MAX_PHOTO, "film": MAX_FILM, "pixels": MAX_PIXELS, "frames": MAX_FRAMES}
        models = [analyst.describe() for analyst in self.analysts.values()]
        return JSONResponse({"notice": NOTICE, "models": models, "limits": limits})

    async def predict(self, request: Request) -> Response:
        """The faces of a photo, which is the body."""
        analysts, settings = self._analysts(request), _settings(request.query_params)
        whole, preview = (_flag(request, name) for name in ("whole", "preview"))
        async with self._place(), _upload(request, MAX_PHOTO, self.folder) as path, self._turn(request):
            return JSONResponse(await run_in_threadpool(_photo, path, analysts, settings, whole, preview))

    async def film(self, request: Request) -> Response:
        """The faces of the frames of a film, which is the body: JSON lines, each sent as soon as it is ready."""
        analysts, settings = self._analysts(request), _settings(request.query_params)
        whole, every = _flag(request, "whole"), request.query_params.get("every")
        chosen = None if every is None else video.Every.parse(every)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._place())
            path = await stack.enter_async_context(_upload(request, MAX_FILM, self.folder))
            frames = _film(path, analysts, settings, whole, chosen)
            stack.callback(frames.close)
            async with self._turn(request):  # for each frame anew, so that photos need not wait for a film
                first = await run_in_threadpool(next, frames)
            if "error" in first:
                raise UserError(f"the file cannot be used: {first['error']}")
            return _Lines(self._lines(first, frames), stack.pop_all())

    async def _lines(self, first: dict[str, Any], frames: Iterator[dict[str, Any]]) -> AsyncIterator[str]:
        line: dict[str, Any] | None = {"notice": NOTICE, **first}
        while line is not None:
            yield json.dumps(line) + "\n"
            if self.stopping():
                yield json.dumps({"end": "the server was stopped"}) + "\n"
                return
            async with self.running:
                line = await run_in_threadpool(next, frames, None)

    async def face(self, request: Request) -> Response:
        """One face again, with covered parts, other windows or another zoom limit; the body is JSON."""
        async with self._place(), _upload(request, MAX_FACE, self.folder) as path, self._turn(request):
            content = _json(path.read_bytes())
            analyst = self._analyst(content.get("model"))
            face, settings = analyst.decode(_image_bytes(content.get("face"))), _settings(content)
            landmarks = _array(content, "landmarks", 2)
            answer = await run_in_threadpool(analyst.face, face, settings, landmarks)
        return JSONResponse({"notice": NOTICE, "model": analyst.name, **answer})

    def _analysts(self, request: Request) -> list[Analyst]:
        names = request.query_params.getlist("model") or [next(iter(self.analysts))]
        return [self._analyst(name) for name in dict.fromkeys(names)]

    def _analyst(self, name: Any) -> Analyst:
        if not isinstance(name, str) or name not in self.analysts:
            raise UserError(f"model: expected one of {', '.join(self.analysts)}, got {name!r:.80}")
        return self.analysts[name]

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncGenerator[None]:
        """One of the PLACES for requests that upload, wait or are answered.

        Raises:
            Refusal: all are taken.
        """
        if self.taken >= PLACES:
            raise Refusal(503, "too many requests at once; try again in a second", {"retry-after": "1"})
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    @contextlib.asynccontextmanager
    async def _turn(self, request: Request) -> AsyncGenerator[None]:
        """Wait until fewer than RUNNING requests are answered.

        Raises:
            ClientDisconnect: the client did not wait as long.
        """
        async with self.running:
            if await request.is_disconnected():
                raise ClientDisconnect
            yield


class _Lines(StreamingResponse):
    """JSON lines from an upload, which `stack` deletes once they are sent or the client has hung up."""

    def __init__(self, lines: AsyncIterator[str], stack: contextlib.AsyncExitStack) -> None:
        super().__init__(lines, media_type="application/x-ndjson")
        self.stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.stack:
            await super().__call__(scope, receive, send)


@contextlib.asynccontextmanager
async def _upload(request: Request, most: int, folder: Path | None) -> AsyncGenerator[Path]:
    """The body of a request as a file, which is deleted afterwards.

    Raises:
        Refusal: it is a form or empty, has more than `most` bytes, takes too long, or cannot be stored.
    """
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise Refusal(415, "expected the file itself as the body of the request (curl --data-binary @FILE), got a form")
    too_large = Refusal(413, f"expected at most {most:,} bytes", {"connection": "close"})
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most and "expect" in request.headers:  # the client asks before it sends
        raise too_large
    with tempfile.TemporaryDirectory(prefix="edram-fer-", dir=folder, ignore_cleanup_errors=True) as temporary:
        path, size = Path(temporary) / "upload", 0
        try:
            with open(path, "wb") as file:
                async with asyncio.timeout(PATIENCE):
                    async for chunk in request.stream():
                        size += len(chunk)
                        if size <= most:
                            file.write(chunk)
                        elif size > MAX_READ:  # before that, read on: most clients listen only after they have sent all
                            raise too_large
        except TimeoutError:
            raise Refusal(408, f"the upload took more than {PATIENCE} seconds", {"connection": "close"}) from None
        except OSError as error:  # a full disk; the rest of the body is dropped, so that the client hears of it
            raise Refusal(507, f"the upload cannot be stored: {error.strerror}") from error
        if size > most:
            raise too_large
        if not size:
            raise Refusal(400, "expected a file as the body of the request, got none")
        yield path


def _photo(path: Path, analysts: Sequence[Analyst], settings: Settings, whole: bool, preview: bool) -> dict[str, Any]:
    image = InputImage("upload", photos.read(path, MAX_PIXELS))
    return {"notice": NOTICE, **_answers(image, analysts, settings, whole, PREVIEW if preview else None)}


def _film(
    path: Path, analysts: Sequence[Analyst], settings: Settings, whole: bool, every: video.Every | None
) -> Generator[dict[str, Any], None, None]:
    """The answers for the frames of a film; at last why it could not be read to its end, if so, as "error" or "end".

    Args:
        every: which frames; None: about SHOWN_FRAMES of the whole film.
    """
    every = video.Film(path).sparse(SHOWN_FRAMES) if every is None else every
    tracks = FaceTracks()
    for number, frame in enumerate(video.Film(path, every, MAX_PIXELS).frames()):
        image = decode(frame)
        if image.pixels is None:
            yield {"end" if number else "error": image.fault}
            return
        if number == MAX_FRAMES:
            yield {"end": f"stopped after {MAX_FRAMES} frames"}
            return
        try:
            answers = _answers(image, analysts, settings, whole, FILM_PREVIEW)
        except UserError as error:  # such as a missing file for the landmarks of the first face
            if not number:
                raise
            yield {"end": str(error)}
            return
        answer = {"frame": image.frame, "time": image.time, **answers}
        faces = answer["answers"][0]["faces"]
        shown = {"source": "", "frame": image.frame, "time": image.time}
        rows = [{**shown, "box": face["box"]} for face in faces]
        tracks.number(rows or [{**shown, "box": None}])  # the time without a face counts, too
        for face, row in zip(faces, rows, strict=True):
            face["track"] = row.get("track")
        yield answer


def _answers(
    image: InputImage, analysts: Sequence[Analyst], settings: Settings, whole: bool, preview: int | None
) -> dict[str, Any]:
    pixels = np.asarray(image.pixels)
    height, width = pixels.shape[:2]
    answers = [analyst.image(image, settings, whole=whole) for analyst in analysts]
    shown = {} if preview is None else {"preview": _preview(pixels, preview)}
    return {"width": width, "height": height, **shown, "answers": answers}


def _preview(pixels: np.ndarray, longest: int) -> str:
    scale = min(1.0, longest / max(pixels.shape[:2]))
    size = [max(round(side * scale), 1) for side in pixels.shape[1::-1]]
    return data_url(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), ".jpg")


def _settings(content: Mapping[str, Any]) -> Settings:
    glimpses, limit = _number(content, "glimpses"), _number(content, "zoom_limit")
    if glimpses is not None and glimpses != int(glimpses):
        raise UserError(f"glimpses: expected a whole number, got {glimpses:g}")
    return Settings(None if glimpses is None else int(glimpses), limit, _array(content, "windows", 3))


def _number(content: Mapping[str, Any], name: str) -> float | None:
    value = content.get(name)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if isinstance(value, bool) or not np.isfinite(number):
        raise UserError(f"{name}: expected a number, got {value!r:.80}")
    return number


def _array(content: Mapping[str, Any], name: str, dimensions: int) -> np.ndarray | None:
    value = content.get(name)
    if value is None:
        return None
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.ndim != dimensions:
        raise UserError(f"{name}: expected numbers in {dimensions} nested lists")
    return array


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "0")
    if value not in ("0", "1", "false", "true"):
        raise UserError(f"{name}: expected 0 or 1, got {value!r:.80}")
    return value in ("1", "true")


def _json(data: bytes) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UserError("expected a JSON object as the body of the request")
    return content


def _image_bytes(value: Any) -> bytes:
    """The bytes of an image in base64, with or without the start of a data URL."""
    if not isinstance(value, str):
        raise UserError("face: expected a PNG or JPEG image in base64")
    try:
        return base64.b64decode(value.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise UserError("face: expected a PNG or JPEG image in base64") from None


def _static(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return Response(STATIC.joinpath(name).read_bytes(), media_type=KINDS[Path(name).suffix])

    return serve


async def _refused(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _unusable(request: Request, error: UserError) -> Response:
    return JSONResponse({"error": str(error)}, 400)


async def _hung_up(request: Request, error: ClientDisconnect) -> Response:
    return Response(status_code=400)  # nobody receives it


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "this is a bug in edram-fer; the terminal of the server shows more"}, 500)
