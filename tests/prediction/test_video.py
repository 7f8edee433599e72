"""Films: their frames, times and faults, against what was written into them; face tracks; the rows of a film."""

import builtins
import itertools
import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import edram_fer
from edram_fer.errors import UserError
from edram_fer.figures.film import FilmDrawing
from edram_fer.prediction import live, overlay, parallel, video
from edram_fer.prediction.images import InputImage, decode, single_images
from edram_fer.prediction.output import Output
from edram_fer.prediction.predictor import Predictor
from edram_fer.prediction.tracks import FaceTracks
from edram_fer.prediction.video import Every, Film, camera, is_film

av = pytest.importorskip("av")
pytest.importorskip("edgefirst.tracker")

SIZE = (64, 48)
COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200), "white": (230, 230, 230)}
MILLISECONDS = [0, 13, 53, 153, 186, 263, 763, 800, 840, 1340]  # of a film with a variable frame rate


def quadrants():
    """An image with a colour in each quadrant: red, green; blue, white."""
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    rows, columns = (slice(0, 24), slice(24, 48)), (slice(0, 32), slice(32, 64))
    for (row, column), colour in zip(itertools.product(rows, columns), COLOURS.values(), strict=True):
        image[row, column] = colour
    return image


def write_film(
    path, images, times=MILLISECONDS, codec="libx264", pix_fmt="yuv420p", options=None, aspect=None, title="title"
):
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.options = pix_fmt, {"g": "5"}
        stream.codec_context.time_base = Fraction(1, 1000)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for image, time in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def colour_names(image):
    """The names of the colours in the four quadrants, row by row."""
    height, width = image.shape[:2]
    centres = [image[row, column] for row in (height // 4, 3 * height // 4) for column in (width // 4, 3 * width // 4)]
    return [min(COLOURS, key=lambda name: np.abs(np.subtract(COLOURS[name], centre)).sum()) for centre in centres]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("films") / "film.mp4", [quadrants()] * len(MILLISECONDS))


def times_and_fault(path, every=1):
    decoded = [decode(frame) for frame in Film(path, Every.parse(every)).frames()]
    return [image.time for image in decoded if image.pixels is not None], "".join(image.fault for image in decoded)


def test_frames_have_the_times_of_a_variable_frame_rate(film, tmp_path):
    for path in (film, write_film(tmp_path / "film.mkv", [quadrants()] * 10)):
        decoded = [decode(frame) for frame in Film(path).frames()]
        assert [image.frame for image in decoded] == list(range(10))
        np.testing.assert_allclose([image.time for image in decoded], np.array(MILLISECONDS) / 1000, atol=1e-9)
        for image in decoded:
            assert image.pixels.shape == (48, 64, 3) and image.pixels.dtype == np.uint8
            assert colour_names(image.pixels) == list(COLOURS)
    assert Film(film).count() == 10


@pytest.mark.parametrize(
    ("every", "milliseconds"),
    [
        (1, MILLISECONDS),
        (3, MILLISECONDS[::3]),
        ("3", MILLISECONDS[::3]),
        (100, [0]),
        ("0.25s", [0, 263, 763, 1340]),  # the first frame of each quarter of a second that has one
        ("1s", [0, 1340]),
    ],
)
def test_every(film, every, milliseconds):
    times, fault = times_and_fault(film, every)
    np.testing.assert_allclose(times, np.array(milliseconds) / 1000, atol=1e-9)
    assert not fault


@pytest.mark.parametrize("every", [0, -1, "0s", "a", "", "1.5", True, "1e3s", "nan s", None])
def test_an_unusable_every_is_named(every):
    with pytest.raises(UserError, match="every: expected a number of frames .* or of seconds .*, got"):
        Every.parse(every)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((0, 1, -1, 0), ("blue", "red", "white", "green")),  # a quarter turn clockwise
        ((-1, 0, 0, -1), ("white", "blue", "green", "red")),
        ((0, -1, 1, 0), ("green", "white", "red", "blue")),
        ((-1, 0, 0, 1), ("green", "red", "white", "blue")),  # mirrored
        ((0, 1, 1, 0), ("red", "blue", "green", "white")),  # transposed
    ],
)
def test_the_display_matrix_is_applied(film, tmp_path, matrix, expected):
    content = film.read_bytes()
    start = content.index(b"tkhd") + 44  # of the matrix, by ISO/IEC 14496-12
    assert struct.unpack(">i", content[start : start + 4]) == (1 << 16,)
    a, b, c, d = (value << 16 for value in matrix)
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(content[:start] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + content[start + 36 :])
    pixels = decode(next(Film(turned).frames())).pixels
    assert colour_names(pixels) == list(expected)
    assert pixels.shape == ((64, 48, 3) if matrix[0] == 0 else (48, 64, 3))


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("ten bits.mkv", "libx264", "yuv422p10le"),
        ("opaque.mov", "prores_ks", "yuva444p10le"),
        ("raw.avi", "rawvideo", "bgr24"),
        ("one.mkv", "ffv1", "bgr0"),
    ],
)
def test_pixel_formats(tmp_path, name, codec, pix_fmt):
    path = write_film(tmp_path / name, [quadrants()], [0], codec, pix_fmt)
    (frame,) = Film(path).frames()
    difference = decode(frame).pixels[12:36:24].astype(int) - quadrants()[12:36:24]
    assert np.abs(difference[:, [16, 48]]).max() < 12


def test_a_title_need_not_be_utf_8(tmp_path):
    path = write_film(tmp_path / "film.avi", [quadrants()] * 2, [0, 40], "mpeg4", title="a title")
    path.write_bytes(path.read_bytes().replace(b"a title", "à titre".encode("latin-1")))
    assert not times_and_fault(path)[1] and Film(path).count()


def test_pixels_that_are_not_square_are_stretched(tmp_path):
    path = write_film(tmp_path / "wide.mp4", [quadrants()], [0], aspect=Fraction(3, 2))
    assert decode(next(Film(path).frames())).pixels.shape == (48, 96, 3)


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_animations_are_films(tmp_path, ending):
    path = tmp_path / f"animation.{ending}"
    grey = [Image.new("L", (20, 10), value) for value in (0, 100, 200)]
    grey[0].save(path, save_all=True, append_images=grey[1:], duration=[100, 250, 50], lossless=True)
    grey[0].save(tmp_path / "still.png")
    decoded = [decode(frame) for frame in list(Film(path).frames())]
    assert [(image.frame, round(image.time, 3)) for image in decoded] == [(0, 0.0), (1, 0.1), (2, 0.35)]
    assert [int(image.pixels.mean()) for image in decoded] == [0, 100, 200]
    assert is_film(path) and not is_film(tmp_path / "still.png") and Film(path).count() == 3


def test_a_frame_that_is_too_large_ends_its_film_with_the_reason(tmp_path):
    grey = [Image.new("L", (10, 10), value) for value in (0, 100)]
    path = tmp_path / "a.gif"
    grey[0].save(path, save_all=True, append_images=grey[1:])
    content = path.read_bytes()
    start = content.rindex(b"\x2c\0\0\0\0\x0a\0\x0a\0") + 5  # the size of the second frame
    for side, fault in {
        65_000: "a frame of more than 100000000 pixels",
        10_001: "10001x10001 pixels, more than 100000000",
    }.items():
        path.write_bytes(content[:start] + struct.pack("<HH", side, side) + content[start + 4 :])
        assert times_and_fault(path) == ([0.0], fault)
    path = write_film(tmp_path / "wide.mp4", [quadrants()], [0], aspect=Fraction(3, 2))
    content = path.read_bytes()
    start = content.index(b"pasp") + 4  # width and height of the pixels, by ISO/IEC 14496-12
    path.write_bytes(content[:start] + struct.pack(">II", 2000, 1) + content[start + 8 :])
    frame, *_ = Film(path).frames()
    assert decode(frame).pixels.shape == (48, 128_000, 3) and frame.area == 48 * 128_000
    (frame,) = Film(path, most_pixels=6_000_000).frames()
    assert decode(frame).fault == "128000x48 pixels, more than 6000000"


def test_few_large_frames_are_taken_ahead():
    taken = []
    frames = (taken.append(number) or number for number in range(20))
    results = parallel.ordered_map(str, frames, 4, area=lambda number: 60_000_000)
    assert next(results) == "0" and taken == [0, 1]
    assert list(results) == [str(number) for number in range(1, 20)]


def test_a_truncated_film_gives_what_can_be_read(film, tmp_path):
    many = write_film(tmp_path / "many.mkv", [quadrants()] * 300, range(0, 12000, 40))
    content = many.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    times, fault = times_and_fault(tmp_path / "cut.mkv")
    assert 100 < len(times) < 200 and fault == f"the film ends after {times[-1] + 0.04:.1f} of 12.0 seconds"
    noisy = bytearray(content)
    for position in np.random.default_rng(0).integers(len(content) // 2, len(content), 40):
        noisy[position] ^= 255
    (tmp_path / "noisy.mkv").write_bytes(noisy)
    times, fault = times_and_fault(tmp_path / "noisy.mkv")
    assert len(times) > 150 and "damaged packets or frames" in fault


def test_a_last_frame_that_is_shown_for_long_and_longer_sound_are_no_fault(tmp_path):
    for name in ("slides.mp4", "slides.mkv", "sound.mkv"):
        with av.open(str(tmp_path / name), "w") as container:
            stream, sound = container.add_stream("mpeg4", rate=25), None
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            if name == "sound.mkv":
                sound = container.add_stream("pcm_s16le", rate=8000)
            frames = [av.VideoFrame.from_ndarray(quadrants(), format="rgb24") for _ in range(4)]
            for packet in [*itertools.chain.from_iterable(map(stream.encode, frames)), *stream.encode()]:
                if sound is None and packet.pts == 3:
                    packet.duration = 250  # ten seconds
                container.mux(packet)
            if sound:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 80_000), np.int16), format="s16", layout="mono")
                silence.sample_rate, silence.pts = 8000, 0
                container.mux(sound.encode(silence))
        with av.open(str(tmp_path / name)) as container:
            assert container.duration > 9 * av.time_base
        times, fault = times_and_fault(tmp_path / name)
        np.testing.assert_allclose(times, [0, 0.04, 0.08, 0.12], atol=1e-3)
        assert not fault


def test_a_film_that_cannot_be_read_further_gives_all_frames_before(tmp_path, monkeypatch):
    path = write_film(tmp_path / "many.mkv", [quadrants()] * 100, range(0, 4000, 40), "mpeg4")

    def failing(path, mode):
        file = builtins.open(path, mode)
        read, size = file.read, path.stat().st_size

        class Failing:
            seek, tell, close = file.seek, file.tell, file.close
            __enter__, __exit__ = (lambda self: self), (lambda self, *error: file.close())

            def read(self, count):
                if file.tell() > size // 2:
                    raise OSError(5, "Input/output error")
                return read(min(count, 1000))

        return Failing()

    monkeypatch.setattr(video, "open", failing, raising=False)
    packets: list = []
    with video._open(path) as container, pytest.raises(OSError, match="Input/output error"):
        packets.extend(container.demux())  # of which as many stay as were read
    times, fault = times_and_fault(path)
    assert "cannot be read further: Input/output error; the film ends after" in fault
    np.testing.assert_allclose(times, np.arange(len(times)) * 0.04, atol=1e-9)
    assert len(times) == len(packets) > 20


def test_sparse_frames_are_spread_over_a_film_of_which_only_the_mean_rate_is_known(tmp_path):
    path = write_film(tmp_path / "slides.mkv", [quadrants()] * 8, range(0, 8000, 1000))  # its header says 25 a second
    assert Film(path).count() > 100
    assert [frame.frame for frame in Film(path, Film(path).sparse(4)).frames()] == [0, 2, 4, 6]
    assert [frame.frame for frame in Film(path, Film(path).sparse(150)).frames()] == list(range(8))
    assert Film(tmp_path / "missing.mp4").sparse(4) == Every(seconds=0.5)


def test_files_without_a_film_are_one_row_with_the_reason(film, tmp_path):
    content = film.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: content.index(b"moov")])
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "empty.avi").touch()
    matroska = write_film(tmp_path / "film.mkv", [quadrants()] * 10).read_bytes()
    (tmp_path / "later.mkv").write_bytes(matroska.replace(b"\x42\x85\x81\x02", b"\x42\x85\x81\x09"))  # its version
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:10,\n{film}\n#EXT-X-ENDLIST\n")  # a playlist is not followed
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (tmp_path / "other.mp4").write_bytes(content.replace(b"avc1", b"zzzz"))
    assert times_and_fault(tmp_path / "other.mp4") == ([], "a film in a format that this FFmpeg cannot decode")
    for name, fault in {
        "cut.mp4": "cannot be decoded: Invalid data found when processing input",
        "text.mp4": "cannot be decoded: Invalid data found when processing input",
        "list.mp4": "cannot be decoded: Invalid data found when processing input",
        "later.mkv": "cannot be decoded: Not yet implemented in FFmpeg, patches welcome",
        "empty.avi": "empty file",
        "sound.mp4": "a file without a video stream",
    }.items():
        assert is_film(tmp_path / name)
        assert times_and_fault(tmp_path / name) == ([], fault)
        assert Film(tmp_path / name).count() is None


def test_films_are_known_by_their_content(film, tmp_path):
    (tmp_path / "film.dat").write_bytes(film.read_bytes())
    Image.fromarray(quadrants()).save(tmp_path / "photo.mp4", format="PNG")
    (tmp_path / "notes.ts").write_text("export {}")  # TypeScript
    assert [is_film(tmp_path / name) for name in ("film.dat", "photo.mp4", "notes.ts", "none.mp4")] == [
        *(True, False, False, False)
    ]
    images = single_images([tmp_path, film], Every(frames=5))
    assert images.total == 2 + 1 + 2 and [entry.path.name for entry in images.passed_over] == ["notes.ts"]
    assert [decode(single).frame for single in images] == [0, 5, None, 0, 5]


def face_rows(centres, times, source="film", side=40.0):
    """Rows of a film with a face at each of some centres [n, T, 2]; nan: not detected."""
    for frame, time in enumerate(times):
        seen = [centre for centre in centres[:, frame] if np.isfinite(centre).all()]
        for x, y in seen or [(None, None)]:
            box = None if x is None else (x - side / 2, y - side / 2, side, side)
            yield {"source": source, "frame": frame, "time": time, "box": box, "track": None}


def moving_faces(interval, count=300):
    """Two faces that move, and are missed now and then, for half a second."""
    missed = max(round(0.5 / interval), 1)
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.5, 1.5, count)) * interval
    centres = np.empty((2, count, 2))
    for number in range(2):
        centres[number] = 100 + 250 * number + 40 * np.stack([np.sin(times + number), np.cos(times)], axis=1)
    centres[0, 40 : 40 + missed], centres[1, 100 : 100 + missed], centres[:, 200 : 200 + missed] = (
        np.nan,
        np.nan,
        np.nan,
    )
    return centres, times


@pytest.mark.parametrize("interval", [1 / 50, 1 / 25, 0.2, 0.5])
def test_tracks_are_kept_over_short_misses(interval):
    rows = list(face_rows(*moving_faces(interval)))
    FaceTracks().number(rows)
    for row in rows:
        if row["box"] is None:
            assert row["track"] is None
        else:
            assert row["track"] == (1 if row["box"][0] < 210 else 2)


def test_tracks_start_anew_in_each_film_and_after_a_long_miss():
    centres, times = moving_faces(1 / 25, 200)
    centres[0, 20:120] = np.nan  # more than three seconds
    rows = [
        *face_rows(centres, times),
        {"source": "photo", "frame": None, "time": None, "box": (80, 80, 40, 40), "track": None},
        *face_rows(centres[:, :10], times[:10], "other"),
    ]
    FaceTracks().number(rows)
    tracks = {
        source: {row["track"] for row in rows if row["source"] == source and row["box"]}
        for source in ("film", "photo", "other")
    }
    assert tracks == {"film": {1, 2, 3}, "photo": {None}, "other": {1, 2}}


def test_tracks_continue_after_their_rows_were_read_again():
    rows = list(face_rows(*moving_faces(1 / 25)))
    whole, first, resumed = ([dict(row) for row in rows] for _ in range(3))
    FaceTracks().number(whole)
    for start in (1, 77, 350):
        frame = rows[start]["frame"]
        cut = next(number for number, row in enumerate(rows) if row["frame"] == frame)
        tracks = FaceTracks()
        tracks.number(first[:cut])
        tracks.number(resumed[cut:])
        assert resumed[cut:] == whole[cut:]


@pytest.fixture(scope="module")
def model(trained):
    return edram_fer.load(trained.run)


@pytest.fixture(scope="module")
def faces_film(tmp_path_factory, contents):
    """A film whose frames are finished faces of the toy model, losslessly compressed."""
    images = [np.repeat(image, 3, axis=-1) for image in contents["validation"]["image"][:10]]
    return write_film(tmp_path_factory.mktemp("films") / "faces.mkv", images, codec="ffv1", pix_fmt="bgr0")


def test_the_rows_of_a_film_are_those_of_its_images(model, contents, faces_film):
    table = edram_fer.predict(model, faces_film, batch_size=4)
    expected = edram_fer.predict(model, contents["validation"]["image"][:10])
    np.testing.assert_allclose(table[list(model.emotions)], expected[list(model.emotions)], atol=1e-6)
    assert set(table.source) == {str(faces_film)} and table.frame.tolist() == list(range(10))
    np.testing.assert_allclose(table.time, np.array(MILLISECONDS) / 1000, atol=1e-9)
    assert table.track.tolist() == [1] * 10 and expected.track.isna().all()
    sparse = edram_fer.predict(model, [contents["validation"]["image"][0], faces_film], every="0.25s")
    assert sparse.frame.dropna().tolist() == [0, 5, 6, 9] and sparse.source.tolist() == [0, *[str(faces_film)] * 4]


def test_a_film_is_continued_at_any_frame(model, faces_film):
    predictor = Predictor(model, batch_size=3)
    images = single_images([faces_film, faces_film.parent / "missing.mp4", faces_film.parent])
    whole = predictor.table(itertools.chain.from_iterable(batch.rows for batch in predictor.batches(images)))
    assert len(whole) == 11
    batches = list(predictor.batches(images))
    for done in range(1, len(batches)):
        earlier = list(itertools.chain.from_iterable(batch.rows for batch in batches[:done]))
        later = predictor.batches(images, sum(batch.images for batch in batches[:done]), earlier)
        resumed = predictor.table([*earlier, *itertools.chain.from_iterable(batch.rows for batch in later)])
        assert resumed.drop(columns="windows").equals(whole.drop(columns="windows"))


def write_output(predictor, path, folder, stop=None):
    """The command's folder for a film, after some batches."""
    images = single_images([str(path)])
    written = Output(folder)
    written.state(images, {})
    written.start()
    for batch in itertools.islice(predictor.batches(images, written.counts["images"], written.film_rows(images)), stop):
        written.write(batch.images, batch.rows, 1)
    if stop is None:
        written.draw_films(images, predictor.classes)
        written.finish()
    return written, images


def test_the_command_s_folder_holds_the_film_with_its_faces(model, faces_film, tmp_path):
    predictor = Predictor(model, batch_size=3)
    write_output(predictor, faces_film, tmp_path / "resumed", stop=2)
    resumed, _ = write_output(predictor, faces_film, tmp_path / "resumed")
    written, images = write_output(predictor, faces_film, tmp_path / "whole")
    assert resumed.table.read_bytes() == written.table.read_bytes()
    rows, expected = list(written.film_rows(images)), predictor(faces_film)
    for name in (
        "source",
        "frame",
        "time",
        "face",
        "track",
        "box",
        "status",
        "emotion",
        "confidence",
        *expected.columns[11:18],
    ):
        assert [row[name] for row in rows] == expected[name].tolist()
    np.testing.assert_allclose([row["windows"] for row in rows], np.stack(expected.windows), atol=1e-6)
    (drawn,) = (tmp_path / "whole" / "images").iterdir()
    assert drawn.name == "01_faces.mp4"
    frames = [decode(frame) for frame in Film(drawn).frames()]
    np.testing.assert_allclose([frame.time for frame in frames], np.array(MILLISECONDS) / 1000, atol=1e-4)
    size = FilmDrawing(predictor.classes, (28, 28)).size
    assert size[0] % 2 == size[1] % 2 == 0 and all(frame.pixels.shape == (*size, 3) for frame in frames)
    before = drawn.stat().st_mtime_ns
    written.draw_films(images, predictor.classes)  # nothing is left to do
    assert drawn.stat().st_mtime_ns == before


@pytest.mark.parametrize("size", [(48, 64), (1080, 1920), (2160, 3840), (1920, 1080), (9, 300), (300, 9)])
def test_drawings_have_even_sides_and_show_boxes_paths_and_curves(size):
    classes = ("gelangweilt", "übermüdet", "sad")
    drawing = FilmDrawing(classes, size)
    assert drawing.size[0] % 2 == drawing.size[1] % 2 == 0 and drawing.size[1] <= 1920
    black, side = np.zeros((*size, 3), np.uint8), min(size)
    empty = drawing.draw(black, [], 0.0)
    windows = [[[0.5, 0, -0.4], [0, 0.5, -0.4]], [[0.3, 0, 0.4], [0, 0.3, 0.4]]]
    face = dict(zip(classes, (0.7, 0.2, 0.1), strict=True)) | {"emotion": classes[0], "confidence": 0.7, "track": 1}
    face |= {"box": (0, 0, side, side), "windows": windows}
    for time in (0.1, 0.2, 0.3, 8.0, 0.1):  # the last one goes back
        drawn = drawing.draw(black, [face], time)
        assert drawn.shape == empty.shape == (*drawing.size, 3)
    changed = (drawn != empty).any(axis=-1)
    scale = drawing.size[1] / size[1] if size == (48, 64) else None
    if scale:  # the path runs from one centre to the other, through the middle of the square
        middle = round(side * scale / 2)
        assert changed[middle - 3 : middle + 4, middle - 3 : middle + 4].any()
        assert (drawn[middle, :3] > 200).all(axis=-1).any()  # the white square
    assert changed[-40:].any()  # curves


def test_glimpses_of_a_turned_face_are_drawn_where_it_lies():
    pixels, names = np.zeros((300, 300, 3), np.uint8), ("a", "b")
    face = {"emotion": "a", "confidence": 0.7, "track": None, "box": (50, 50, 200, 200), "a": 0.7, "b": 0.3}
    window = [[0.4, 0, -0.5], [0, 0.2, -0.3]]  # of the face that was turned clockwise
    in_image = {90: [[0, 0.2, -0.3], [-0.4, 0, 0.5]], 180: [[-0.4, 0, 0.5], [0, -0.2, 0.3]]}
    for degrees, expected in in_image.items():
        turned = FilmDrawing(names, (300, 300)).draw(pixels, [face | {"windows": [window], "rotation": degrees}], 0.0)
        drawn = FilmDrawing(names, (300, 300)).draw(pixels, [face | {"windows": [expected], "rotation": 0}], 0.0)
        np.testing.assert_array_equal(turned, drawn)


def test_a_film_is_drawn_into_a_folder_with_the_name_of_a_time(film, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = Path("10:30") / "film.mp4"
    overlay.write(Film(film), [{"frame": frame, "emotion": None} for frame in range(10)], target, ["a", "b"])
    assert len(times_and_fault(target.absolute())[0]) == 10


def test_the_time_of_a_camera_starts_with_its_first_frame(monkeypatch):
    class Slow:
        clock, waits = 0.0, [3.0, 0.25]  # seconds until each of its frames

        def read(self):
            if not self.waits:
                return False, None
            self.clock += self.waits.pop(0)
            return True, np.zeros((8, 8, 3), np.uint8)

        def release(self):
            self.clock = np.nan

    slow = Slow()
    monkeypatch.setattr(video, "time", SimpleNamespace(monotonic=lambda: slow.clock))
    assert [frame.time for frame in video._camera_frames(slow, "camera")] == [0.0, 0.25] and np.isnan(slow.clock)


def test_a_camera_that_is_not_there_is_named():
    for number in (77, 10**11):
        with pytest.raises(UserError, match=f"camera {number}: cannot be opened"):
            camera(number)


def test_a_camera_is_shown_live_until_q(model, faces_film, monkeypatch):
    predictor = Predictor(model, batch_size=1, workers=1)
    shown = []
    monkeypatch.setattr(live.cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(live.cv2, "waitKey", lambda milliseconds: ord("q") if len(shown) == 4 else -1)
    monkeypatch.setattr(live.cv2, "getWindowProperty", lambda title, name: 1.0)
    batches = list(live.watch(predictor, camera(str(faces_film)), window=True))  # OpenCV reads a film like a camera
    assert len(batches) == len(shown) == 4
    assert [batch.rows[0]["frame"] for batch in batches] == [0, 1, 2, 3]
    assert shown[0].shape == (*FilmDrawing(predictor.classes, (28, 28)).size, 3)
    assert len(list(live.watch(predictor, camera(str(faces_film)), window=False))) == 10 and len(shown) == 4


def test_a_window_that_cannot_be_opened_is_one_sentence(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(live.sys, "platform", "linux")
    with pytest.raises(UserError, match="a live window needs a screen"):
        live.open_window()
    monkeypatch.setenv("DISPLAY", ":0")

    def no_window(title, flags):
        raise live.cv2.error("The function is not implemented")

    monkeypatch.setattr(live.cv2, "namedWindow", no_window)
    with pytest.raises(UserError, match="pip uninstall --yes opencv-python-headless && pip install 'opencv-python<5'"):
        live.open_window()


def test_input_images_with_frames_have_tracks(model, contents):
    images = [
        InputImage("mine", image[..., 0], frame, frame / 10)
        for frame, image in enumerate(contents["validation"]["image"][:3])
    ]
    table = edram_fer.predict(model, iter(images))
    assert table.track.tolist() == [1, 1, 1] and table.time.tolist() == [0.0, 0.1, 0.2]
