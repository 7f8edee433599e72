"""The reader of tables: kinds of files, columns, labels, boxes, paths and rows that cannot be used."""

import zipfile

import cv2
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet as pq
import pytest
from support.annotation_files import unusable, usable

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, records
from edram_fer.preprocessing.datasets import inspection
from edram_fer.preprocessing.datasets.table import annotations as table
from edram_fer.preprocessing.datasets.table import columns, files

POINTS = ";".join(f"{i}.5" for i in range(136))


@pytest.fixture
def write(tmp_path):
    """Write images 0.png to 5.png and a table beside them."""
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((9, 9), 40 * number, np.uint8))

    def write(content, name="faces.csv", encoding="utf-8"):
        (tmp_path / name).write_bytes(content.encode(encoding))
        return tmp_path / name

    return write


FRAME = pd.DataFrame(
    {
        "File": [f"{number}.png" for number in range(6)],
        "label": ["Happy", "sadness", "suprise", None, "angry", "uncertain"],
        "person": [1, 1, 2, 2, 3, np.nan],
        "valence": [0.5, -0.25, 0, 0, 4, 0],
        "arousal": [0.5, np.nan, 0, 0, 0, 0],
    }
)


def to_text(separator, encoding):
    return lambda path: FRAME.to_csv(path, sep=separator, encoding=encoding, index=False)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("faces.csv", to_text(",", "utf-8")),
        ("windows.csv", to_text(";", "utf-16")),
        ("bom.txt", to_text("|", "utf-8-sig")),
        ("faces.tsv", to_text("\t", "utf-16-le")),
        ("faces.parquet", lambda path: FRAME.to_parquet(path)),
        ("indexed.pq", lambda path: FRAME.set_index("File").to_parquet(path)),
        ("faces.xlsx", lambda path: FRAME.to_excel(path, index=False)),
    ],
)
def test_every_kind_of_file_has_the_same_rows(write, tmp_path, name, save):
    if name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    save(tmp_path / name)
    annotations = table.find(tmp_path / name)
    rows = usable(annotations)
    assert {row.image: (row.emotion, row.valence, row.arousal, row.split) for row in rows.values()} == {
        "0.png": ("happy", 0.5, 0.5, "train"),
        "1.png": ("sad", -2, -2, "train"),
    }
    assert {row.subject.removesuffix(".0") for row in rows.values()} == {"1"}
    assert unusable(annotations) == {
        "2.png": "unknown label suprise (surprise?)",
        "3.png": "no label",
        "4.png": "valence 4 outside [-1, 1]",
        "5.png": "label uncertain",
    }
    assert [row.row for row in annotations.records()] == [f"{name}:{number}" for number in range(1, 7)]
    assert annotations.classes == ("happy", "sad") and annotations.shares == {"validation": 0.1, "test": 0.2}


def test_boxes_landmarks_splits_and_columns_with_other_names(write):
    path = write(
        "bild,urteil,x1,y1,x2,y2,width,Usage,points,alter\n"
        f"0.png,happy,1,2,5,7.5,900,Training,{POINTS},30\n"
        "0.png,sad,2,2,5,7,900,PublicTest,,30\n"
        "0.png,sad,2,2,5,7,900,train,,30\n"
        "1.png,sad,9,9,3,12,900,train,,30\n"
        "2.png,sad,,,,,900,PrivateTest,1;2,30\n"
        "3.png,sad,,,,,900,,,30\n"
    )
    annotations = table.find(path, column=["image=bild", "emotion=urteil", "landmarks=points"])
    first, second = usable(annotations).values()
    assert (first.box, first.split, first.landmarks[1]) == ((1, 2, 4, 5.5), "train", (2.5, 3.5))
    assert (second.id, second.box, second.split) == ("0.png (faces.csv:2)", (2, 2, 3, 5), "validation")
    assert [row.status for row in annotations.records()][2:] == [
        "its image and box are also that of faces.csv:2",
        "box -6x3 without area",
        "2 landmark numbers instead of 136",
        "no split",
    ]
    assert annotations.detectors == ("annotation",) and annotations.shares == {"validation": 0.1}
    assert "columns that are not read: width, alter" in annotations.notes
    without = table.find(path, column=["image=bild", "emotion=urteil", "split=", "left="])
    assert without.detectors == ("none",) and {row.split for row in usable(without).values()} == {"train"}


def test_valence_and_arousal_of_any_scale(write):
    path = write("image,label,pleasure,arousal\n0.png,sad,1,0\n1.png,sad,9,100\n2.png,sad,3,25\n3.png,sad,12,50\n")
    rated = ["valence=pleasure:1..9", "arousal=arousal:100..0"]  # the second one upside down
    annotations = table.find(path, column=rated)
    assert [(row.valence, row.arousal) for row in usable(annotations).values()] == [(-1, 1), (1, -1), (-0.5, 0.5)]
    assert unusable(annotations) == {"3.png": "valence 12 outside 1..9"}
    assert records.fingerprint(annotations) != records.fingerprint(table.find(path, column=[rated[0], "arousal="]))
    message = r"the column pleasure has numbers from 1 to 12; expected valence .* --column valence=pleasure:1\.\.9; "
    with pytest.raises(ValueError, match=message):
        table.find(path, column="valence=pleasure")
    with pytest.raises(ValueError, match="expected arousal=NAME:LOWEST..HIGHEST, such as 1..9, got 'arousal=arousal:5"):
        table.find(path, column="arousal=arousal:5..5")


def test_landmarks_in_columns_and_a_box_in_one():
    names = ["image", "label", *(f"{axis}_{number}" for number in range(68) for axis in "xy"), "x", "y", "w", "h"]
    matched = columns.match(names, {})
    assert matched.landmarks == tuple(range(2, 138)) and matched.positions["left"] == 138 and not matched.unread
    assert columns.match(["path", "class", "width", "height", "x", "y"], {"box": ""}).has_box
    assert not columns.match(["path", "class", "width", "height"], {}).has_box  # the size of the image


def test_classes_of_its_own(write, tmp_path):
    path = write("image,label\n0.png,bored\n1.png,Very Engaged\n2.png,joy\n3.png,confused\n")
    assert table.find(path).classes == ("happy",)
    annotations = table.find(path, classes=emotions.parse_classes("bored,very engaged,happy"))
    assert [row.emotion for row in usable(annotations).values()] == ["bored", "very engaged", "happy"]
    assert unusable(annotations) == {"3.png": "unknown label confused"}
    path = write("image,label\n0.png,bored\n1.png,Bored\n2.png,engaged\n")
    with pytest.raises(ValueError, match='there are bored 1, Bored 1, engaged 1. .*: --classes "Bored,engaged"'):
        table.find(path)
    with pytest.raises(ValueError, match="no image of the class confused; there are: bored 2, engaged 1"):
        table.find(path, classes=("bored", "engaged", "confused"))


def test_numbers_are_read_only_as_the_codes_of_a_data_set(write):
    path = write("image,label\n0.png,3\n1.png,4.0\n2.png,9\n3.png,12\n")
    with pytest.raises(ValueError, match="there are 3 1, 4.0 1, 9 1, 12 1. For numbers name .*: --set codes=AffectNet"):
        table.find(path)
    assert [row.emotion for row in usable(table.find(path, codes="AffectNet")).values()] == ["surprise", "fear"]
    statuses = unusable(table.find(path, codes="AffectNet"))
    assert statuses["2.png"] == "label uncertain" and "unknown emotion code '12'" in statuses["3.png"]
    assert [row.emotion for row in usable(table.find(path, codes="RAF-DB")).values()] == ["disgust", "happy"]


def test_lines_that_cannot_be_divided_affect_no_other_line(write):
    path = write('image,label\n"0.png","sad"\n"1.png,sad\n2.png,"happy"\n"3.png","an\ngry"\n\n4.png,sad,more\n5.png\n')
    annotations = table.find(path)
    assert list(usable(annotations)) == ["0.png", "2.png"]
    assert list(unusable(annotations).values()) == [
        "a quotation mark without its pair",
        "unknown label an?gry (anger?)",
        "3 columns instead of 2",
        "1 columns instead of 2",
    ]


def test_paths(write, tmp_path):
    (tmp_path / "lists").mkdir()
    rows = ["..\\..\\0.png", "http://a.b/0.png", "/etc/passwd", ".\\0.png", f"{tmp_path}/1.png", "", "gone.png"]
    path = write("\n".join(["image,label", *(f"{row},sad" for row in rows)]), "lists/faces.csv")
    annotations = table.find(path)
    assert annotations.root == tmp_path and f"image paths are relative to {tmp_path}" in annotations.notes
    text = "\n".join(inspection.describe_annotations(annotations))
    assert "7 rows, 2 of them usable" in text and {"0.png", "1.png"} <= set(usable(annotations))
    for reason in ("its image is a web address; only files are read, 1", "no image path, 1"):
        assert f"not usable: {reason}" in text
    assert "its path leads out of the data set, 2" in text and "its image does not exist, 1" in text
    (tmp_path / "other").mkdir()
    upwards = table.find(tmp_path / "other" / ".." / "lists" / "faces.csv")  # as of `--source ../lists/faces.csv`
    assert {"0.png", "1.png"} <= set(usable(upwards))
    for source in (tmp_path, tmp_path / "other" / "..", tmp_path / "other" / ".." / "lists" / "faces.csv"):
        unread = inspection.inspect(source)[-1]
        assert unread == "not read: 4 files: 2.png, 3.png, 4.png, 5.png", source
    with pytest.raises(ValueError, match="none of the first 6 images, such as '../../0.png', is in .*other; --root"):
        table.find(path, root=tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="root: .*nowhere is not a folder"):
        table.find(path, root=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("image,label\n", "has no rows below its header"),
        ("0.png,happy\n", "no column image and emotion in the first line, which has 0.png, happy. Name it: --column"),
        ("\0\1\2\0", "is neither text nor Parquet nor Excel"),
        ("PAR1 and no more", "is not a complete Parquet file"),
        ("PK\3\4 and no more", "is not a complete Excel file"),
    ],
)
def test_files_that_are_no_table_of_images(write, content, message):
    if "Excel file" in message:
        pytest.importorskip("openpyxl")
    with pytest.raises(ValueError, match=message):
        table.find(write(content))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("emotion", "expected ROLE=NAME, such as emotion=label, got 'emotion'"),
        ("mood=label", "expected image, emotion, .* before the =, got 'mood'"),
        ("emotion=mood", "there is no column 'mood'; there are image, label"),
    ],
)
def test_column_options_that_are_not_valid(write, column, message):
    with pytest.raises(ValueError, match=message):
        table.find(write("image,label\n0.png,sad\n"), column=[column])


def test_sheets(write, tmp_path):
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(tmp_path / "book.xlsx") as book:
        FRAME.to_excel(book, sheet_name="first", index=False)
        FRAME[:1].to_excel(book, sheet_name="second", index=False)
    assert "sheets that are not read: second" in table.find(tmp_path / "book.xlsx").notes
    assert len(list(table.find(tmp_path / "book.xlsx", sheet="second").records())) == 1
    with pytest.raises(ValueError, match="sheet: expected one of first, second, got 'third'"):
        files.read(tmp_path / "book.xlsx", "third")


def test_the_size_of_excel_files_is_limited(tmp_path, monkeypatch):
    openpyxl = pytest.importorskip("openpyxl")
    path = tmp_path / "book.xlsx"

    def refused(message, cell="A1"):
        book = openpyxl.Workbook()
        book.active.append(["image", "label"])
        book.active[cell] = "0.png"
        book.save(path)
        with pytest.raises(UserError, match=f"book.xlsx: expected {message}"):
            files.read(path)

    refused("a sheet of at most 1,048,576 rows and 1,000 columns, got a row of 16,384 cells", "XFD2")
    monkeypatch.setattr(files, "MOST_ROWS", 100)
    refused("a sheet of at most 100 rows and 1,000 columns, got 101 rows", "A1048576")
    monkeypatch.setattr(files, "LARGEST_EXCEL", 3000)
    refused("an Excel file that unpacks to at most 0 MB, got 0; save the table as CSV or Parquet")


@pytest.mark.parametrize("member", ["xl/workbook.xml", "[Content_Types].xml", "xl/worksheets/sheet1.xml"])
@pytest.mark.parametrize("content", [b"", b"<a", b"<a/>"])
def test_damaged_excel_files(member, content, tmp_path):
    pytest.importorskip("openpyxl")
    FRAME.to_excel(tmp_path / "whole.xlsx", index=False)
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as whole, zipfile.ZipFile(tmp_path / "a.xlsx", "w") as damaged:
        for name in whole.namelist():
            damaged.writestr(name, content if name == member else whole.read(name))
    if (member, content) == ("xl/worksheets/sheet1.xml", b"<a/>"):
        assert files.read(tmp_path / "a.xlsx").rows == []
        return
    with pytest.raises(UserError, match="a.xlsx is not a complete Excel file"):
        files.read(tmp_path / "a.xlsx")


def test_damaged_metadata_of_parquet_files(tmp_path):
    whole = pyarrow.Table.from_pandas(FRAME)
    pq.write_table(whole.replace_schema_metadata({b"pandas": b'{"columns": [{}]}'}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="a.parquet is not a complete Parquet file"):
        files.read(tmp_path / "a.parquet")


def test_a_folder_with_one_table_or_several(write, tmp_path):
    write("image,label\n0.png,sad\n")
    write("name,price\nx,3\n", "prices.csv")
    assert list(usable(table.find(tmp_path))) == ["0.png"]
    assert inspection.inspect(tmp_path)[0].startswith("table, faces.csv, in ")
    write("path,class\n1.png,sad\n", "more.tsv")
    with pytest.raises(ValueError, match="(?s)more than once; name the file or folder.*faces.csv.*more.tsv"):
        table.find(tmp_path)
