"""The page's answers against the model, its server against bad requests, and the page in a real browser."""

import base64
import concurrent.futures
import contextlib
import csv
import errno
import http.client
import io
import json
import os
import re
import shutil
import socket
import struct
import sys
import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image
from support import tiny
from support.genuine import PHOTOS, needs_photos

import edram_fer
from edram_fer import cli
from edram_fer.errors import UserError
from edram_fer.evaluation import inference
from edram_fer.prediction import video
from edram_fer.run import checkpoints

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from edram_fer.web import answers, server
from edram_fer.web.answers import Analyst, Settings

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
CLASSES = ["neutral", "happy", "sad", "anger"]


def build(name="edram", **options):
    model = edram_fer.build(name, **{**tiny.TINIES[name], "image_size": (32, 32), "emotions": CLASSES, **options})
    tiny.draw_weights(model)
    model.run_eagerly = True  # nothing is compiled for the few faces of the tests
    return model


@pytest.fixture(scope="module")
def edram():
    return Analyst("edram", build())


@pytest.fixture(scope="module")
def cnn():
    return Analyst("cnn", build("cnn"))


def make_face(seed=0):
    return np.random.default_rng(seed).integers(0, 255, (32, 32, 1)).astype(np.uint8)


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(np.squeeze(pixels)).save(file, "PNG")
    return file.getvalue()


# ---- answers


def test_a_face_is_answered_as_by_the_model(edram, cnn):
    for analyst in (edram, cnn):
        face = make_face()
        expected = inference.predict(analyst.model, face[None])
        answer = analyst.face(face, Settings())
        np.testing.assert_allclose(answer["steps"], expected["probabilities"][0], atol=1e-6)
        np.testing.assert_allclose(answer["windows"], expected["windows"][0], atol=1e-6)
        assert answer["emotion"] == CLASSES[expected["probabilities"][0, -1].argmax()]
        first = analyst.face(face, Settings(glimpses=1))
        np.testing.assert_allclose(first["steps"], expected["probabilities"][0, :1], atol=1e-6)
        assert len(first["windows"]) == 1 and first["confidence"] == max(first["steps"][0])


def test_a_zoom_limit_has_the_effect_of_a_model_with_that_limit(edram):
    face = make_face(3)
    limited = build(zoom_limit=0.3, zoom_mode="clip", zoom_measure="extent")
    limited.set_weights(edram.model.get_weights())
    expected = inference.predict(limited, face[None])
    answer = edram.face(face, Settings(zoom_limit=0.3))
    np.testing.assert_allclose(answer["windows"], expected["windows"][0], atol=1e-5)
    np.testing.assert_allclose(answer["steps"], expected["probabilities"][0], atol=1e-6)
    own = edram.face(face, Settings())
    assert np.abs(np.subtract(own["windows"], answer["windows"])).max() > 0.1
    assert np.abs(np.subtract(own["steps"], answer["steps"])).max() > 1e-4


def test_windows_set_by_hand_are_what_the_model_sees(edram, cnn):
    face, windows = make_face(1), np.tile([[0.4, 0.1, 0.3], [-0.1, 0.3, -0.5]], (2, 1, 1))
    answer = edram.face(face, Settings(windows=windows))
    expected = inference.predict(edram.model, face[None], windows=windows[None])
    np.testing.assert_allclose(answer["steps"], expected["probabilities"][0], atol=1e-6)
    np.testing.assert_allclose(answer["windows"], windows, atol=1e-6)
    with pytest.raises(UserError, match=r"edram takes \[2, 2, 3\] numbers, got \[1, 2, 3\]"):
        edram.face(face, Settings(windows=windows[:1]))
    for value in (np.nan, 1e9):
        with pytest.raises(UserError, match="numbers from -4 to 4"):
            edram.face(face, Settings(windows=windows + value))
    assert edram.takes_windows and not cnn.takes_windows
    with pytest.raises(UserError, match="cnn always sees the whole face"):
        cnn.face(face, Settings(windows=windows[:1]))


def test_restrict_shrinks_about_the_centre():
    windows = np.array([[[0.9, 0, 0.2], [0, 0.2, 0.1]], [[0.3, -0.3, 0], [0.1, 0.1, 0]]])
    limited = answers.restrict(windows, 0.5)
    np.testing.assert_allclose(limited, [[[0.5, 0, 0.2], [0, 0.2, 0.1]], [[0.25, -0.25, 0], [0.1, 0.1, 0]]])


# ---- the server


@contextlib.contextmanager
def serving(analysts, folder, **options):
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(server.application(analysts, folder=folder, **options), log_level="critical")
    instance = uvicorn.Server(config)
    thread = threading.Thread(target=instance.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not instance.started:
        time.sleep(0.01)
    yield listener.getsockname()[1]
    instance.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def port(edram, cnn, folder):
    with serving([edram, cnn], folder) as port:
        yield port


def ask(port, path, body=None, headers=None, method=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def ask_json(port, path, body, status=200):
    response, content = ask(port, path, body)
    assert response.status == status, content
    return json.loads(content)


def face_request(**changes):
    content = {"model": "edram", "face": base64.b64encode(png(make_face())).decode()} | changes
    return json.dumps(content).encode()


def test_the_interface_answers_and_forgets(port, folder, edram):
    about = json.loads(ask(port, "/api/models")[1])
    assert [model["name"] for model in about["models"]] == ["edram", "cnn"]
    assert "not about a feeling" in about["notice"] and "5(1)(f)" in about["notice"]
    answer = ask_json(port, "/api/predict?model=edram&model=cnn&preview=1", png(make_face()))
    assert [one["model"] for one in answer["answers"]] == ["edram", "cnn"]
    assert (answer["width"], answer["height"]) == (32, 32) and answer["preview"].startswith("data:image/jpeg;base64,")
    face = answer["answers"][0]["faces"][0]
    assert face["box"] == [0, 0, 32, 32] and answer["notice"] == about["notice"]
    np.testing.assert_allclose(face["steps"], edram.face(make_face(), Settings())["steps"], atol=1e-5)
    crop = Image.open(io.BytesIO(base64.b64decode(face["crop"].partition(",")[2])))
    np.testing.assert_array_equal(np.asarray(crop), make_face()[..., 0])
    again = ask_json(port, "/api/face", face_request(face=face["crop"]))
    assert again["steps"] == face["steps"]
    black = Image.new("RGB", (300, 200))
    assert ask_json(port, "/api/predict", png(black))["answers"][0]["status"] == "no_face"
    whole = ask_json(port, "/api/predict?whole=1", png(black))["answers"][0]
    assert whole["status"] == "ok" and len(whole["faces"]) == 1
    assert is_empty(folder)


@pytest.mark.parametrize(
    "path, body, status, message",
    [
        ("/api/predict", b"", 400, "expected a file as the body"),
        ("/api/predict", b"no image", 400, "not an image"),
        ("/api/predict", png(make_face())[:200], 400, "truncated"),
        ("/api/predict?model=../../etc/passwd", png(make_face()), 400, "model: expected one of edram, cnn"),
        ("/api/predict?zoom_limit=0", png(make_face()), 400, "zoom_limit: expected a number in"),
        ("/api/predict?zoom_limit=nan", png(make_face()), 400, "zoom_limit: expected a number"),
        ("/api/predict?glimpses=1.5", png(make_face()), 400, "glimpses: expected a whole number"),
        ("/api/predict?whole=maybe", png(make_face()), 400, "whole: expected 0 or 1"),
        ("/api/video", b"no film", 400, "the file cannot be used"),
        ("/api/video?every=never", b"no film", 400, "every: expected"),
        ("/api/face", b"[1]", 400, "expected a JSON object"),
        ("/api/face", b"[" * 100_000, 400, "expected a JSON object"),
        ("/api/face", face_request(model=["edram"]), 400, "model: expected"),
        ("/api/face", face_request(face="é"), 400, "face: expected a PNG or JPEG image in base64"),
        ("/api/face", face_request(face=base64.b64encode(b"GIF89a").decode()), 400, "another kind of file"),
        ("/api/face", face_request(face=base64.b64encode(png(np.zeros((9, 7), "uint8"))).decode()), 400, "one of 7x9"),
        ("/api/face", face_request(windows=[[1, 2], [3]]), 400, "windows: expected numbers in 3 nested lists"),
        ("/api/face", face_request(windows=[[["a"]]]), 400, "windows: expected numbers"),
        ("/api/face", face_request(zoom_limit=True), 400, "zoom_limit: expected a number"),
        ("/api/face", face_request(zoom_limit=10**400), 400, "zoom_limit: expected a number"),
        ("/api/face", b" " * 5_000_000, 413, "expected at most 2,000,000 bytes"),
        ("/../server.py", None, 404, "Not Found"),
        ("/api/predict", None, 405, "Method Not Allowed"),
    ],
)
def test_bad_requests_end_in_a_sentence(port, folder, path, body, status, message):
    response, content = ask(port, path, body)
    assert response.status == status and message in json.loads(content)["error"]
    assert is_empty(folder)


def test_a_full_disk_is_told(port, folder, monkeypatch):
    def full(path, mode):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(server, "open", full, raising=False)
    response, content = ask(port, "/api/predict", bytes(10_000_000))
    assert response.status == 507 and "cannot be stored: No space left on device" in json.loads(content)["error"]
    assert is_empty(folder)


def test_a_form_is_told_what_to_send(port):
    response, content = ask(port, "/api/predict", b"--x", {"Content-Type": "multipart/form-data; boundary=x"})
    assert response.status == 415 and "--data-binary" in json.loads(content)["error"]


def test_an_image_bomb_is_refused_before_it_is_decoded(port):
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + struct.pack(">I", 100) + b"IDAT"
    response, content = ask(port, "/api/predict", b"\x89PNG\r\n\x1a\n" + chunks + bytes(100))
    assert response.status == 400 and "more than 50000000 pixels" in json.loads(content)["error"]


def test_other_sites_are_refused(port):
    others = [("Host", "evil.example"), ("Host", "["), ("Origin", "http://evil.example"), ("Origin", "http://[")]
    others += [("Host", "127.0.0.1.evil.example"), ("Host", "192.168.0.1"), ("Host", "")]
    for name, value in [*others, ("Origin", "null")]:
        response, _ = ask(port, "/api/predict", png(make_face()), {name: value})
        assert response.status == 403 and "content-security-policy" in response.headers
    assert ask(port, "/", headers={"Origin": f"http://127.0.0.1:{port}"})[0].status == 200
    for host in ("localhost:1", "LOCALHOST", "127.0.0.2", "[::1]:8765"):
        assert ask(port, "/", headers={"Host": host})[0].status == 200
    policy = ask(port, "/")[0].headers["content-security-policy"]
    assert "default-src 'none'" in policy and "http" not in policy


def test_many_requests_at_once_are_answered_or_sent_away(port, folder, monkeypatch):
    monkeypatch.setattr(server, "PLACES", 6)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        responses = list(pool.map(lambda _: ask(port, "/api/predict", png(make_face())), range(20)))
    statuses = [response.status for response, _ in responses]
    assert set(statuses) == {200, 503} and statuses.count(200) >= 6
    assert all(response.headers["retry-after"] == "1" for response, _ in responses if response.status == 503)
    assert ask(port, "/api/predict", png(make_face()))[0].status == 200 and is_empty(folder)


def is_empty(folder):
    """Whether all uploads are deleted, at the latest a little after the answer."""
    deadline = time.monotonic() + 10
    while any(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(folder.iterdir())


def test_a_client_that_hangs_up_leaves_nothing(port, folder):
    for length in (1_000_000, 5):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(
                f"POST /api/video HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n12345".encode()
            )
            time.sleep(0.1)
    assert is_empty(folder) and ask(port, "/api/predict", png(make_face()))[0].status == 200


def write_film(path, count):
    """Frames of noise, each of which is a face for the models of the tests."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for number in range(count):
            image = np.repeat(make_face(number), 3, axis=-1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_a_film_is_answered_frame_by_frame(port, folder, tmp_path):
    film = write_film(tmp_path / "film.avi", 6)
    response, content = ask(port, "/api/video?every=2", film.read_bytes())
    lines = [json.loads(line) for line in content.splitlines()]
    assert response.status == 200 and [line["frame"] for line in lines] == [0, 2, 4]
    np.testing.assert_allclose([line["time"] for line in lines], [0, 0.2, 0.4], atol=0.01)
    assert all(line["answers"][0]["faces"][0]["track"] == 1 for line in lines)
    assert is_empty(folder)


def test_a_film_ends_when_the_server_is_told_to_stop(edram, folder, tmp_path):
    film = write_film(tmp_path / "film.avi", 3)
    with serving([edram], folder, stopping=lambda: True) as port:
        lines = [json.loads(line) for line in ask(port, "/api/video", film.read_bytes())[1].splitlines()]
    assert lines[0]["frame"] == 0 and lines[1:] == [{"end": "the server was stopped"}]
    assert is_empty(folder)


def test_a_film_that_cannot_be_answered_to_its_end_says_why(edram, tmp_path, monkeypatch):
    film, answered = write_film(tmp_path / "film.avi", 4), []

    def image(*arguments, **options):
        answered.append(answer(*arguments, **options))
        if len(answered) == 3:
            raise UserError("landmarks are missing")
        return answered[-1]

    answer = edram.image
    monkeypatch.setattr(edram, "image", image)
    lines = list(server._film(film, [edram], Settings(), False, None))
    assert [line.get("frame") for line in lines] == [0, 1, None] and lines[-1] == {"end": "landmarks are missing"}
    del answered[0]
    with pytest.raises(UserError, match="landmarks are missing"):
        next(server._film(film, [edram], Settings(), False, None))


@needs_photos
def test_a_face_that_was_away_for_long_has_another_track(port, tmp_path):
    left, top, width, height = json.loads((PHOTOS / "truth.json").read_text())["2007_007763.jpg"]["boxes_ltwh"][0]
    face = Image.open(PHOTOS / "2007_007763.jpg").crop((left - 9, top - 9, left + width + 9, top + height + 9))
    frames = [face, *[Image.new("RGB", face.size, (0, 0, number)) for number in range(5)], face]
    frames[0].save(tmp_path / "film.png", save_all=True, append_images=frames[1:], duration=1000)
    lines = ask(port, "/api/video?every=1", (tmp_path / "film.png").read_bytes())[1].splitlines()
    faces = [json.loads(line)["answers"][0]["faces"] for line in lines]
    assert [[face["track"] for face in faces_there] for faces_there in faces] == [[1], *[[]] * 5, [2]]


# ---- the page


def test_the_page_takes_every_film_for_one():
    pattern = re.search(r"const FILMS = /(.+)/i;", server.STATIC.joinpath("page.js").read_text())[1]
    assert all(re.search(pattern, f"film{ending}") for ending in video.ENDINGS)


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("no Chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="a page is tried with playwright")
    camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", *camera])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, port):
    """The page in a narrow window. Nothing but its own server is asked, and no error is logged."""
    tab, messages, requests = browser.new_page(viewport={"width": 390, "height": 844}), [], []
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(f"http://127.0.0.1:{port}/")
    tab.locator("#model-0 option").first.wait_for(state="attached")
    yield tab
    assert messages == []
    outside = [
        url for url in requests if not url.startswith((f"http://127.0.0.1:{port}/", "data:", "blob:http://127.0"))
    ]
    assert requests and outside == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.close()


def upload(page, name, data):
    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": data})
    page.locator(".bars tr").first.wait_for()


def wait(page):
    """Wait until no model is asked."""
    page.locator(".panel[aria-busy=true]").first.wait_for(state="detached")


def change(page, action):
    """What the first model was asked and answered at last because of an action."""
    answered = []

    def note(request):
        answered.append(request)

    page.on("requestfinished", note)
    action()
    wait(page)
    page.remove_listener("requestfinished", note)
    last = [one for one in answered if one.url.endswith("/api/face") and one.post_data_json["model"] == "edram"][-1]
    return last.post_data_json, last.response().json()


def shown(page):
    """The numbers of the first model's bars."""
    return [
        float(text.rstrip(" %"))
        for text in page.locator(".panel").first.locator(".bars td:last-child").all_text_contents()
    ]


@pytest.mark.slow
def test_a_photo_is_covered_and_looked_at_elsewhere(page, edram):
    page.select_option("#model-1", "cnn")
    upload(page, "face.png", png(make_face()))
    assert page.locator(".panel h2").all_text_contents() == ["edram", "cnn"]
    assert "not about a feeling" in page.locator("#notice").text_content()
    own = edram.face(make_face(), Settings())
    np.testing.assert_allclose(shown(page), 100 * np.array(own["steps"][-1]), atol=0.06)
    page.locator(".panel").first.locator(".glimpses button").first.click()
    np.testing.assert_allclose(shown(page), 100 * np.array(own["steps"][0]), atol=0.06)

    page.check("[value=cover]")
    canvas = page.locator(".face").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.3)
    asked, answer = change(
        page, lambda: page.mouse.move(box["x"] + box["width"] * 0.61, box["y"] + box["height"] * 0.3)
    )
    page.mouse.up()
    covered = edram.decode(base64.b64decode(asked["face"].partition(",")[2]))[..., 0]
    changed = covered != make_face()[..., 0]
    assert changed[9, 10:18].all() and not changed[20:].any() and abs(int(covered[9, 14]) - 128) <= 1
    np.testing.assert_allclose(answer["steps"], edram.face(covered[..., None], Settings())["steps"], atol=1e-6)
    page.locator("#reset").click()
    np.testing.assert_allclose(shown(page), 100 * np.array(own["steps"][-1]), atol=0.06)

    canvas.focus()  # and by keyboard
    page.keyboard.press("ArrowDown")
    asked, _ = change(page, lambda: page.keyboard.press("Space"))
    covered = edram.decode(base64.b64decode(asked["face"].partition(",")[2]))[..., 0]
    assert abs(int(covered[17, 16]) - 128) <= 1
    page.keyboard.press("Backspace")

    page.check("[value=aim]")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.9)
    page.mouse.up()
    canvas.focus()
    page.keyboard.press("ArrowRight")
    asked, answer = change(page, lambda: page.keyboard.press("ArrowUp"))
    expected = [[0.5, 0, 1 / 12], [0, 0.4, 0.4 - 1 / 12]]
    np.testing.assert_allclose(asked["windows"][1], expected, atol=0.03)
    np.testing.assert_allclose(answer["windows"], asked["windows"], atol=1e-5)


def test_sliders_numbers_and_the_whole_image(page, monkeypatch):
    monkeypatch.setattr(server, "MAX_FILM", 1)
    page.reload()
    page.set_input_files(
        "#file", {"name": "=grey.png", "mimeType": "image/png", "buffer": png(np.full((90, 60), 120, "uint8"))}
    )
    page.get_by_text("Take the whole image as the face").click()
    page.locator(".bars tr").first.wait_for()
    asked, answer = change(page, lambda: page.locator("#zoom").fill("30"))
    assert asked["zoom_limit"] == 0.3
    assert np.abs(np.array(answer["windows"])[:, :, :2]).sum(axis=-1).max() <= 0.3 + 1e-6
    asked, answer = change(page, lambda: page.locator("#glimpses").fill("1"))
    assert asked["glimpses"] == 1 and len(answer["steps"]) == 1
    assert page.locator(".glimpses button").count() == 1
    with page.expect_download() as download:
        page.locator("#csv").click()
    rows = list(csv.DictReader(download.value.path().read_text(encoding="utf-8").splitlines()))
    assert [row["step"] for row in rows] == ["1", "2", "1"] and rows[0]["source"] == "'=grey.png"
    assert rows[2]["change"] == "zoom limit 0.3, 1 steps" and rows[2]["face"] == "1"
    np.testing.assert_allclose([float(rows[2][name]) for name in CLASSES], answer["steps"][0], atol=1e-6)
    page.set_input_files("#file", {"name": "film.avi", "mimeType": "", "buffer": b"too large"})
    page.get_by_text("film.avi has 0 MB; expected at most").wait_for()
    page.locator("#faces button").click()  # of the photo, which is still shown
    with page.expect_download() as download:
        page.locator("#csv").click()
    assert download.value.path().read_text(encoding="utf-8").count("'=grey.png") == 3

    page.locator("#reset").click()
    page.check("[value=aim]")
    page.locator(".face").first.focus()
    both, _ = change(page, lambda: page.keyboard.press("ArrowRight"))
    change(page, lambda: page.locator("#glimpses").fill("1"))
    page.locator(".face").first.focus()
    one, _ = change(page, lambda: page.keyboard.press("ArrowDown"))  # moves the glimpse that is shown
    assert one["windows"][1] == both["windows"][1]
    np.testing.assert_allclose(one["windows"][0][1][2] - both["windows"][0][1][2], 1 / 12)
    press = "face => face.dispatchEvent(new KeyboardEvent('keydown', {key: ']', ctrlKey: true, altKey: true}))"
    turned, _ = change(page, lambda: page.locator(".face").first.evaluate(press))  # AltGr
    assert turned["windows"][0][0][1] != one["windows"][0][0][1]
    page.locator("#reset").click()
    page.check("[value=cover]")
    page.locator(".face").first.click(button="right")
    assert page.locator("#undo").is_disabled()


def test_a_film_the_camera_and_a_file_that_is_neither(page, tmp_path):
    upload(page, "film.avi", write_film(tmp_path / "film.avi", 4).read_bytes())
    page.get_by_text("4 frames of film.avi").wait_for()
    assert page.locator("#film-chart polyline").count() == len(CLASSES)
    page.locator("#faces button").focus()
    page.evaluate("""() => {
      const slider = document.getElementById("frame");
      slider.value = 3;
      slider.dispatchEvent(new Event("input"));
    }""")
    assert page.locator("#time").text_content() == "0.30 s"
    assert page.evaluate("document.activeElement.parentElement.id") == "faces"  # as the frames of the camera come
    page.evaluate("""() => {
      const devices = navigator.mediaDevices, getUserMedia = devices.getUserMedia.bind(devices);
      window.streams = [];
      devices.getUserMedia = async (wanted) => {
        const stream = await getUserMedia(wanted);
        await new Promise((resolve) => setTimeout(resolve, 200));
        streams.push(stream);
        return stream;
      };
    }""")
    page.locator("#camera").dblclick()
    page.get_by_text("The camera is on").wait_for()
    page.get_by_text("No face was found").wait_for()
    states = "streams.flatMap((stream) => stream.getTracks()).map((track) => track.readyState)"
    assert sorted(page.evaluate(states)) == ["ended", "live"]
    page.locator("#camera").click()
    assert page.locator("#camera").text_content() == "Use the camera"
    assert page.evaluate(states) == ["ended", "ended"]


# ---- the command


def test_the_command_names_its_models(edram, monkeypatch, tmp_path):
    served = []
    monkeypatch.setattr(server, "serve", lambda analysts, host, port: served.append((analysts, host, port)))
    monkeypatch.setattr(checkpoints, "load", lambda source: edram.model)
    run = tmp_path / "run"
    run.mkdir()
    arguments = ["web", str(run), str(run), "fer2013-edram", "--port", "0"]
    with pytest.raises(SystemExit) as finished:
        cli.main(arguments)
    assert not finished.value.code
    (analysts, host, port), *_ = served
    assert [analyst.name for analyst in analysts] == ["run", "run'", "fer2013-edram"]
    assert (host, port) == ("127.0.0.1", 0)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SystemExit, match=r"the page needs uvicorn: pip install 'edram-fer\[web\]'"):
        cli.main(arguments)


@pytest.mark.parametrize(("host", "local"), [("LOCALHOST", True), ("127.0.0.1", True), ("0.0.0.0", False)])
def test_a_page_at_an_address_of_this_machine_is_for_this_machine(host, local, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(server, "application", lambda analysts, local, stopping: asked.append(local))
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: sockets[0].close())
    server.serve([], host, 0)
    assert asked == [local] and ("Anyone who can reach this machine" in capsys.readouterr().out) != local


def test_the_page_does_not_end_in_the_middle_of_its_warm_up(monkeypatch):
    started, warm = threading.Event(), []

    class Slow:
        def warm_up(self):
            started.set()
            time.sleep(0.2)
            warm.append(True)

    def interrupted(self, sockets):
        sockets[0].close()
        assert started.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "application", lambda analysts, local, stopping: None)
    monkeypatch.setattr(uvicorn.Server, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        server.serve([Slow()], "127.0.0.1", 0)
    assert warm


def test_an_address_in_use_is_told(edram, port):
    with pytest.raises(UserError, match=rf"cannot listen at 127.0.0.1, port {port}: .*; try another --port"):
        server.serve([edram], "127.0.0.1", port)
    with pytest.raises(UserError, match=r"cannot listen at 127\.\.0\.0\.1, port 0: .*; try another --port or --host"):
        server.serve([edram], "127..0.0.1", 0)
