"""AffectNet's lists of 2017, and everything that can be wrong in them."""

import tracemalloc

import numpy as np
import pytest
from support.affectnet_files import CODES, HEADER, POINTS, line, rows, write_lists

from edram_fer.preprocessing.datasets.affectnet import annotations as affectnet
from edram_fer.preprocessing.datasets.affectnet import csv2017
from edram_fer.preprocessing.emotions import EIGHT, SEVEN
from edram_fer.preprocessing.records import OK, UNKNOWN_AFFECT, fingerprint


def test_lists_of_2017(tmp_path):
    training = [line(f"{number}/x{number}.JPG", code=str(code)) for number, code in enumerate(CODES.values())]
    annotations = affectnet.find(write_lists(tmp_path, training, [line("9/v.png", code="6", affect="-2,-2")]))
    assert (
        annotations.layout == affectnet.CSV
        and annotations.root == tmp_path
        and annotations.detectors == ("annotation",)
    )
    assert [path.name for path in annotations.files] == [
        "training.csv",
        "validation.csv",
    ] and annotations.classes == EIGHT
    records = list(annotations.records())
    assert [record.emotion for record in records] == [*CODES, "anger"] and {record.status for record in records} == {OK}
    assert [record.split for record in records] == ["train"] * 8 + ["test"]
    first, last = records[0], records[-1]
    assert (first.id, first.row, first.image) == ("0/x0.JPG", "training.csv:1", "Manually_Annotated_Images/0/x0.JPG")
    assert first.box == (10, 20, 120, 130) and (first.valence, first.arousal) == (0.5, -0.25)
    np.testing.assert_array_equal(first.landmarks, POINTS.reshape(68, 2))
    assert last.row == "validation.csv:1" and (last.valence, last.arousal) == (UNKNOWN_AFFECT, UNKNOWN_AFFECT)
    assert records == list(annotations.records()) and len(fingerprint(annotations)) == 64


def test_published_counts_are_those_of_the_present_splits(tmp_path):
    write_lists(tmp_path, [line()])
    annotations = affectnet.find(tmp_path)
    assert list(annotations.published) == ["train"] and sum(annotations.published["train"].values()) == 287651
    assert sum(annotations.published["train"][name] for name in SEVEN) == 283901
    assert any("no test split: no validation.csv" in note for note in annotations.notes)


FAULTS = {
    "none": (line(code="8"), "label none"),
    "uncertain": (line(code="9", box="1,1,-1,-1"), "label uncertain"),
    "no face": (line(code="10", affect="-2,-2"), "label no face"),
    "code 11": (line(code="11"), "unknown emotion code '11'"),
    "no code": (line(code=""), "unknown emotion code ''"),
    "negative width": (line(box="10,20,-120,3"), "box -120x3"),
    "negative height": (line(box="10,20,120,-3"), "box 120x-3"),
    "no width": (line(box="10,20,0,50"), "box 0x50"),
    "width of text": (line(box="10,20,wide,50"), "face_width 'wide' is not a number"),
    "endless width": (line(box="10,20,inf,50"), "face_width 'inf' is not a number"),
    "no left": (line(box=",20,10,50"), "face_x '' is not a number"),
    "valence 3.2": (line(affect="3.2,0"), "valence 3.2 outside [-1, 1]"),
    "arousal nan": (line(affect="0,nan"), "arousal nan outside [-1, 1]"),
    "arousal of text": (line(affect="0,x"), "arousal 'x' is not a number"),
    "135 landmarks": (line(landmarks=";".join(map(str, POINTS[:-1]))), "135 landmark numbers instead of 136"),
    "a bad landmark": (line(landmarks="1;2;x"), "landmark 'x' is not a number"),
    "8 columns": ("1/a.jpg,10,20,120,130,1;2,1,0.5", "8 columns instead of 9"),
    "a stray quote": ('"' + line() + ",", "10 columns instead of 9"),
    "cut off": ("1/a.jp", "1 columns instead of 9"),
    "no path": (line(path=""), "no image path"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_row_has_a_status_and_the_rest_is_read(tmp_path, fault):
    text, status = FAULTS[fault]
    records = rows(write_lists(tmp_path, [line("1/first.jpg"), text, line("1/last.jpg")]))
    assert [record.id for record in records][::2] == ["1/first.jpg", "1/last.jpg"]
    assert records[0].status == records[2].status == OK
    assert status in records[1].status and records[1].row == "training.csv:2"


def test_boxes_across_the_border_and_unusual_paths_are_kept(tmp_path):
    write_lists(tmp_path, [line(box="-5,-7,1e4,130.5"), line(path="../../etc/passwd"), line(landmarks="")])
    records = rows(tmp_path)
    assert {record.status for record in records} == {OK}
    assert records[0].box == (-5, -7, 10000, 130.5) and records[2].landmarks is None
    assert records[1].image == "Manually_Annotated_Images/../../etc/passwd"


def test_rows_are_counted_without_being_read(tmp_path):
    write_lists(tmp_path, ["not a row", line("1/a.jpg"), "", line("1/b.jpg")], [line()])
    annotations = affectnet.find(tmp_path)
    assert annotations.count() == len(list(annotations.records())) == 4
    write_lists(tmp_path, [line("1/a.jpg")], [line()], header=False)
    assert affectnet.find(tmp_path).count() == 2


def test_blanks_and_quotes_around_values_are_removed(tmp_path):
    (record,) = rows(write_lists(tmp_path, [" , ".join(f'"{value}"' for value in line(code="4").split(","))]))
    assert (record.id, record.emotion, record.box, record.arousal) == ("1/a.jpg", "fear", (10, 20, 120, 130), -0.25)


def test_list_without_header_with_byte_order_mark_and_windows_line_ends(tmp_path):
    write_lists(tmp_path, ["not a row", line("1/a.jpg"), "", line("1/b.jpg")], header=False)
    path = tmp_path / "Manually_Annotated_file_lists" / "training.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    annotations = affectnet.find(tmp_path)
    records = list(annotations.records())
    assert [(record.row, record.status) for record in records] == [
        ("training.csv:1", "1 columns instead of 9"),
        ("training.csv:2", OK),
        ("training.csv:4", OK),
    ]
    assert any("training.csv has no header" in note for note in annotations.notes)


def test_columns_in_another_order(tmp_path):
    reversed_columns = [",".join(row.split(",")[::-1]) for row in (HEADER, line(code="4"))]
    (record,) = rows(write_lists(tmp_path, reversed_columns, header=False))
    assert (record.id, record.emotion, record.box, record.arousal) == ("1/a.jpg", "fear", (10, 20, 120, 130), -0.25)


@pytest.mark.parametrize(
    "places",
    [
        {"lists": ".", "images": "Manually_Annotated_Images"},
        {"lists": "a/b/c", "images": "a/Manually_Annotated/Manually_annotated_images"},
        {"lists": "lists", "images": "data/faces"},
    ],
)
def test_moved_folders_are_found(tmp_path, places):
    write_lists(tmp_path, [line("7/gone.jpg"), line("7/here.jpg")], **places)
    image = tmp_path / places["images"] / "7" / "here.jpg"
    image.parent.mkdir()
    image.write_bytes(b"")
    annotations = affectnet.find(tmp_path)
    assert [annotations.root / record.image for record in annotations.records()][1] == image


def test_missing_images_are_an_error(tmp_path):
    write_lists(tmp_path, [line()], images="somewhere")
    with pytest.raises(FileNotFoundError, match="looked for a folder manually_annotated_images.* 1/a.jpg"):
        affectnet.find(tmp_path)


def test_automatic_list_is_read_only_on_request(tmp_path):
    folder = tmp_path / "Automatically_Annotated" / "Automatically_annotated_file_list"
    folder.mkdir(parents=True)
    (folder / "automatically_annotated.csv").write_text(f"{HEADER}\n{line('3/auto.jpg')}\n")
    (tmp_path / "Automatically_Annotated" / "Automatically_Annotated_Images").mkdir()
    with pytest.raises(ValueError, match="no AffectNet in .*automatically_annotated.csv is the automatic list"):
        affectnet.find(tmp_path)
    write_lists(tmp_path, [line()], [line()])
    assert [record.id for record in rows(tmp_path)] == ["1/a.jpg", "1/a.jpg"]
    annotations = affectnet.find(tmp_path, automatic=True)
    assert annotations.layout == affectnet.AUTOMATIC_CSV and not annotations.published
    assert [(record.split, record.image) for record in annotations.records()] == [
        ("train", "Automatically_Annotated_Images/3/auto.jpg")
    ]


def test_list_of_another_data_set_is_refused(tmp_path):
    write_lists(tmp_path, ["image,label", "a.jpg,1"], header=False)
    with pytest.raises(ValueError, match="training.csv: expected the header of an AffectNet list.*found 'image,label'"):
        affectnet.find(tmp_path)
    write_lists(tmp_path, [], header=False)
    with pytest.raises(ValueError, match="training.csv: expected the header"):
        affectnet.find(tmp_path)


def test_rows_are_read_lazily(tmp_path):
    write_lists(tmp_path, [line(f"1/{number}.jpg") for number in range(200)])
    annotations = affectnet.find(tmp_path)
    tracemalloc.start()
    assert sum(record.status == OK for record in annotations.records()) == 200
    assert tracemalloc.get_traced_memory()[1] < 400_000  # all rows at once take 1.6 MB
    tracemalloc.stop()


def test_first_images_skip_malformed_rows(tmp_path):
    write_lists(tmp_path, ["1,2", line("4/d.jpg")])
    assert csv2017.first_images(tmp_path / "Manually_Annotated_file_lists" / "training.csv") == ["4/d.jpg"]


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("quoted", [True, False])
def test_lists_exported_by_windows_tools(tmp_path, separator, quoted, header):
    """UTF-16 with CRLF, other separators, decimal commas and backslashes give the same rows."""
    lists = [line(f"{number}/x.JPG", code=str(number), affect="0.5,-0.25") for number in range(4)]
    expected = list(affectnet.find(write_lists(tmp_path / "published", lists)).records())
    write_lists(tmp_path / "exported", [])
    exported = []
    for text in [HEADER] * header + lists:
        path, *box, points, code, valence, arousal = text.split(",")
        numbers = [*box, points, code, valence, arousal]
        if separator != "," and text != HEADER:
            numbers = [number.replace(".", ",") for number in numbers]
        values = [path.replace("/", "\\"), *numbers]
        exported.append(separator.join(f'"{value}"' if quoted else value for value in values))
    path = tmp_path / "exported" / "Manually_Annotated_file_lists" / "training.csv"
    path.write_bytes("\r\n".join([*exported, ""]).encode("utf-16"))
    assert list(affectnet.find(tmp_path / "exported").records()) == expected
    path.write_bytes("\r\n".join([*exported, ""]).encode("utf-8-sig"))
    assert list(affectnet.find(tmp_path / "exported").records()) == expected
