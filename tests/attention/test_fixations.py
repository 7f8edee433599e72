"""Valid and invalid files of fixations, and maps of fixations compared with SciPy."""

import numpy as np
import pytest
from scipy import ndimage, stats

from edram_fer.attention import fixations

SHAPES = {"a.png": (20, 30), "b.png": (20, 30)}
HEADER = "subject,image,start_x,start_y,duration,label\n"
VALID = HEADER + "s1,a.png,3,4,0.2,sad\ns1,a.png,29.4,19.4,0.3,\ns2,a.png,-0.5,0,0,happy\ns1,b.png,1,1,1,fear\n"


@pytest.fixture
def read(tmp_path):
    def reader(text, encoding="utf-8", **options):
        path = tmp_path / "fixations.csv"
        path.write_text(text, encoding=encoding)
        return fixations.read(path, SHAPES, **options)

    return reader


def test_reading(read):
    table = read(VALID)
    assert len(table) == 4 and table.points.tolist()[1] == [29.4, 19.4] and table.duration.tolist() == [0.2, 0.3, 0, 1]
    assert table.label.tolist() == ["sad", "", "happy", "fear"]
    assert {key: len(path) for key, path in table.paths().items()} == {
        ("s1", "a.png"): 2,
        ("s2", "a.png"): 1,
        ("s1", "b.png"): 1,
    }
    assert table.image_points("a.png").shape == (3, 2) and table.image_points("c.png").shape == (0, 2)
    assert table.report() == "4 fixations of 2 people on 2 images"


def test_columns_in_any_order_without_labels_with_a_byte_order_mark(read):
    table = read("duration,extra,image,start_y,start_x,subject\n1,x,a.png,4,3,s1\n\n", encoding="utf-8-sig")
    assert table.points.tolist() == [[3, 4]] and table.label.tolist() == [""]


def test_blanks_around_names_are_stripped(read):
    table = read("subject , image,start_x,start_y , duration\ns1 , a.png , 1 ,2,3\ns1,a.png,4,5,6\n")
    assert [*table.paths()] == [("s1", "a.png")] and table.unknown_images == {}


def test_no_fixations(read):
    table = read(HEADER)
    assert len(table) == 0 and table.points.shape == (0, 2) and table.paths() == {}


def test_unknown_images_are_counted(read):
    table = read(VALID + "s1,c.png,x,y,z,\ns2,c.png,1,1,1,\n")
    assert len(table) == 4 and table.unknown_images == {"c.png": 2}
    assert "2 rows on 1 unknown images (c.png) left out" in table.report()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subject,image,x,y\n", "lacks the columns start_x, start_y, duration; its first line holds subject, image, x"),
        ("", "lacks the columns .* holds nothing"),
        (VALID + "s1,a.png,left,1,1,\n", "line 6: start_x: expected a number, got 'left'"),
        (VALID + "s1,a.png,1,nan,1,\n", "line 6: start_y: expected a number, got 'nan'"),
        (VALID + "s1,a.png,1\n", "line 6: start_y: expected a number, got None"),
        (VALID + "s1\n", "line 6: image: expected a name, got nothing"),
        (VALID + ",c.png,1,1,1,\n", "line 6: subject: expected a name, got nothing"),
        (VALID + "s1,a.png,1,1,1,sad,7,8\n", "line 6: expected 6 values, got 8"),
        (HEADER[:-1] + ",image\n", "names the columns image more than once"),
        (VALID + "s1,a.png,1,1,-3,\n", "line 6: duration: expected 0 or more, got '-3'"),
        (VALID + "s1,a.png,29.5,1,1,\n", r"line 6: \(29.5, 1\) lies outside a.png, 30 x 20 pixels"),
        (VALID + "s1,a.png,99,1,1,\n" * 7, "line 6: .*; line 10: .*; and 2 more faulty rows"),
    ],
)
def test_faulty_rows_are_reported_with_file_and_line(read, text, message):
    with pytest.raises(ValueError, match=r"fixations\.csv.*" + message):
        read(text)


def test_rows_outside_their_image_are_dropped_and_counted(read):
    table = read(VALID + "s1,a.png,99,1,1,\n", outside="drop")
    assert len(table) == 4 and table.rows_outside == 1 and "1 rows outside their image" in table.report()
    with pytest.raises(ValueError, match="outside: expected"):
        read(VALID, outside="ignore")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.csv is missing"):
        fixations.read(tmp_path / "none.csv", SHAPES)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00s")
    with pytest.raises(ValueError, match="binary.csv is not readable as CSV"):
        fixations.read(tmp_path / "binary.csv", SHAPES)


def test_a_map_is_a_sum_of_gaussians():
    points, weights = np.array([[3.2, 4.0], [20.0, 11.7]]), np.array([1.0, 3.0])
    density = fixations.fixation_map(points, (20, 30), (2, 3), weights)
    rows, columns = np.mgrid[:20, :30]
    expected = sum(w * stats.norm.pdf(columns, x, 2) * stats.norm.pdf(rows, y, 3) for (x, y), w in zip(points, weights))
    np.testing.assert_allclose(density, expected / expected.sum(), atol=1e-15)


def test_a_map_is_a_blurred_count_of_fixations():
    points = np.array([[12, 9], [15, 10], [15, 10]])
    counts = np.zeros((20, 30))
    np.add.at(counts, (points[:, 1], points[:, 0]), 1)
    blurred = ndimage.gaussian_filter(counts, 2, mode="constant", truncate=20)
    np.testing.assert_allclose(fixations.fixation_map(points, (20, 30), 2), blurred / blurred.sum(), atol=1e-12)


def test_impossible_maps_are_rejected():
    with pytest.raises(ValueError, match="got 0 fixations"):
        fixations.fixation_map([], (20, 30), 2)
    with pytest.raises(ValueError, match="weight above 0"):
        fixations.fixation_map([[1, 1]], (20, 30), 2, weights=[0])
    with pytest.raises(ValueError, match=r"expected 1 weights of at least 0, got \[-1.0\]"):
        fixations.fixation_map([[1, 1]], (20, 30), 2, weights=[-1])
    with pytest.raises(ValueError, match="above 0 pixels"):
        fixations.fixation_map([[1, 1]], (20, 30), 0)
    assert fixations.fixation_map([[4, 5]], (20, 30), 2).argmax() == 5 * 30 + 4
