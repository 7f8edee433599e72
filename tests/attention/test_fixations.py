"""Files of fixations, good and bad, and maps of fixations against SciPy."""

import numpy as np
import pytest
from scipy import ndimage, stats

from edram_fer.attention import fixations

SHAPES = {"a.png": (20, 30), "b.png": (20, 30)}
HEADER = "subject,image,start_x,start_y,duration,label\n"
GOOD = HEADER + "s1,a.png,3,4,0.2,sad\ns1,a.png,29.4,19.4,0.3,\ns2,a.png,-0.5,0,0,happy\ns1,b.png,1,1,1,fear\n"


@pytest.fixture
def read(tmp_path):
    def reader(text, encoding="utf-8", **options):
        path = tmp_path / "looks.csv"
        path.write_text(text, encoding=encoding)
        return fixations.read(path, SHAPES, **options)

    return reader


def test_reading(read):
    found = read(GOOD)
    assert len(found) == 4 and found.points.tolist()[1] == [29.4, 19.4] and found.duration.tolist() == [0.2, 0.3, 0, 1]
    assert found.label.tolist() == ["sad", "", "happy", "fear"]
    assert {key: len(path) for key, path in found.paths().items()} == {
        ("s1", "a.png"): 2,
        ("s2", "a.png"): 1,
        ("s1", "b.png"): 1,
    }
    assert found.on_image("a.png").shape == (3, 2) and found.on_image("c.png").shape == (0, 2)
    assert found.report() == "4 fixations of 2 people on 2 images"


def test_columns_in_any_order_without_labels_with_a_byte_order_mark(read):
    found = read("duration,extra,image,start_y,start_x,subject\n1,x,a.png,4,3,s1\n\n", encoding="utf-8-sig")
    assert found.points.tolist() == [[3, 4]] and found.label.tolist() == [""]


def test_blanks_around_names_are_not_part_of_them(read):
    found = read("subject , image,start_x,start_y , duration\ns1 , a.png , 1 ,2,3\ns1,a.png,4,5,6\n")
    assert [*found.paths()] == [("s1", "a.png")] and found.unknown_images == {}


def test_no_fixations(read):
    found = read(HEADER)
    assert len(found) == 0 and found.points.shape == (0, 2) and found.paths() == {}


def test_unknown_images_are_counted(read):
    found = read(GOOD + "s1,c.png,x,y,z,\ns2,c.png,1,1,1,\n")
    assert len(found) == 4 and found.unknown_images == {"c.png": 2}
    assert "2 rows on 1 unknown images (c.png) left out" in found.report()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subject,image,x,y\n", "lacks the columns start_x, start_y, duration; its first line holds subject, image, x"),
        ("", "lacks the columns .* holds nothing"),
        (GOOD + "s1,a.png,left,1,1,\n", "line 6: start_x: expected a number, got 'left'"),
        (GOOD + "s1,a.png,1,nan,1,\n", "line 6: start_y: expected a number, got 'nan'"),
        (GOOD + "s1,a.png,1\n", "line 6: start_y: expected a number, got None"),
        (GOOD + "s1\n", "line 6: image: expected a name, got nothing"),
        (GOOD + ",c.png,1,1,1,\n", "line 6: subject: expected a name, got nothing"),
        (GOOD + "s1,a.png,1,1,1,sad,7,8\n", "line 6: expected 6 values, got 8"),
        (HEADER[:-1] + ",image\n", "names the columns image more than once"),
        (GOOD + "s1,a.png,1,1,-3,\n", "line 6: duration: expected 0 or more, got '-3'"),
        (GOOD + "s1,a.png,29.5,1,1,\n", r"line 6: \(29.5, 1\) lies outside a.png, 30 x 20 pixels"),
        (GOOD + "s1,a.png,99,1,1,\n" * 7, "line 6: .*; line 10: .*; and 2 more faulty rows"),
    ],
)
def test_bad_rows_are_told_with_file_and_line(read, text, message):
    with pytest.raises(ValueError, match=r"looks\.csv.*" + message):
        read(text)


def test_rows_outside_may_be_left_out_and_are_counted(read):
    found = read(GOOD + "s1,a.png,99,1,1,\n", outside="drop")
    assert len(found) == 4 and found.rows_outside == 1 and "1 rows outside their image" in found.report()
    with pytest.raises(ValueError, match="outside: expected"):
        read(GOOD, outside="ignore")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.csv is missing"):
        fixations.read(tmp_path / "none.csv", SHAPES)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00s")
    with pytest.raises(ValueError, match="binary.csv is not readable as CSV"):
        fixations.read(tmp_path / "binary.csv", SHAPES)


def test_a_map_is_a_sum_of_gaussians():
    points, weights = np.array([[3.2, 4.0], [20.0, 11.7]]), np.array([1.0, 3.0])
    found = fixations.fixation_map(points, (20, 30), (2, 3), weights)
    rows, columns = np.mgrid[:20, :30]
    density = sum(w * stats.norm.pdf(columns, x, 2) * stats.norm.pdf(rows, y, 3) for (x, y), w in zip(points, weights))
    np.testing.assert_allclose(found, density / density.sum(), atol=1e-15)


def test_a_map_is_a_blurred_count_of_fixations():
    points = np.array([[12, 9], [15, 10], [15, 10]])
    counts = np.zeros((20, 30))
    np.add.at(counts, (points[:, 1], points[:, 0]), 1)
    blurred = ndimage.gaussian_filter(counts, 2, mode="constant", truncate=20)
    np.testing.assert_allclose(fixations.fixation_map(points, (20, 30), 2), blurred / blurred.sum(), atol=1e-12)


def test_maps_that_cannot_be():
    with pytest.raises(ValueError, match="got 0 fixations"):
        fixations.fixation_map([], (20, 30), 2)
    with pytest.raises(ValueError, match="weight above 0"):
        fixations.fixation_map([[1, 1]], (20, 30), 2, weights=[0])
    with pytest.raises(ValueError, match=r"expected 1 weights of at least 0, got \[-1.0\]"):
        fixations.fixation_map([[1, 1]], (20, 30), 2, weights=[-1])
    with pytest.raises(ValueError, match="above 0 pixels"):
        fixations.fixation_map([[1, 1]], (20, 30), 0)
    assert fixations.fixation_map([[4, 5]], (20, 30), 2).argmax() == 5 * 30 + 4
