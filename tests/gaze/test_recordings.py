"""Recordings of eye trackers, written here in their formats: what is read, what is counted, what is refused."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.genuine import FIXATIONS, needs_fixations

from edram_fer import cli
from edram_fer.attention import fixations
from edram_fer.errors import MissingPackageError, UserError
from edram_fer.gaze import detection, recordings

STUDIO = "ParticipantName,RecordingResolution,MediaName,MediaWidth,MediaHeight,RecordingTimestamp,FixationIndex,"
STUDIO += "GazeEventType,GazeEventDuration,FixationPointX (MCSpx),FixationPointY (MCSpx),GazePointX (ADCSpx)"


def studio(*fixated, subject="p1", media="1", screen="1280x1024", size=(100, 80), step=10):
    """Rows of Tobii Studio: 30 ms of samples for each (index, start, duration, x, y)."""
    for index, start, duration, x, y in fixated:
        for time in range(start, start + 30, step):
            head = (subject, screen, media, *size, time)
            yield ",".join(map(str, (*head, index, "Fixation", duration, x, y, 500)))


def write(path, *lines, encoding="utf-8", delimiter=","):
    path.write_text("\n".join(lines).replace(",", delimiter) + "\n", encoding=encoding)
    return path


@needs_fixations
def test_the_genuine_raw_export():
    """Beside the table that was made from it by other means."""
    files = [FIXATIONS / "tobii_studio_export_003.csv"]
    result = recordings.read(files, stimuli=FIXATIONS / "StimuliMap.csv")
    table = pd.read_csv(FIXATIONS / "uniss_fgd.csv", dtype={"subject": str})
    expected = table[(table.image == "AM02HAS.JPG") & table.subject.isin(["00", "03", "07"])]
    pd.testing.assert_frame_equal(
        result.table, expected[[*recordings.COLUMNS]].reset_index(drop=True), check_dtype=False
    )
    assert result.counts == {"blinks": 3} and result.screens == {"1280x1024": 3}


@needs_fixations
def test_all_genuine_fixations_are_read_and_none_is_left_out():
    result = recordings.read([FIXATIONS / "uniss_fgd.csv"], size=(562, 762))
    emotions = result.table.groupby(result.table.image.str[4:6]).size()
    assert emotions.to_dict() == {"SA": 6593, "HA": 6572, "NE": 6737} and not result.counts
    assert result.table.subject.nunique() == 20 and result.table.image.nunique() == 119


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8-sig", ","), ("utf-16", "\t"), ("utf-8", ";")])
def test_tobii_studio(tmp_path, encoding, delimiter):
    rows = [*studio((1, 0, 200, 10, 20), (2, 250, 120, 30.5, 40)), *studio((1, 0, 90, 5, 6), subject="p2")]
    path = write(tmp_path / "all.tsv", STUDIO, *rows, encoding=encoding, delimiter=delimiter)
    table = recordings.read([path]).table
    assert table.values.tolist() == [
        ["p1", "1", 10, 20, 200, 0],
        ["p1", "1", 30.5, 40, 120, 250],
        ["p2", "1", 5, 6, 90, 0],
    ]


def test_a_written_table_is_read_as_fixations(tmp_path, capsys):
    path = write(tmp_path / "all.csv", STUDIO, *studio((1, 0, 200, 10, 20), media="007"))
    stimuli = write(tmp_path / "map.csv", "ID,FileName", "7,face.jpg")
    with pytest.raises(SystemExit) as end:
        cli.main(["fixations", str(path), "--stimuli", str(stimuli), "--out", str(tmp_path / "out.csv")])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("1 fixations of 1 people on 1 images\n")
    people = fixations.read(tmp_path / "out.csv", {"face.jpg": (80, 100)})
    assert people.points.tolist() == [[10, 20]] and people.duration.tolist() == [200]


def test_tobii_pro_lab_in_microseconds_with_decimal_commas(tmp_path):
    """Shares of the stimulus' size, two sensors, time stamps whose unit only the duration of the recording tells."""
    header = "Recording timestamp\tSensor\tParticipant name\tRecording name\tRecording duration\t"
    header += "Presented Stimulus name\tPresented Media width\tPresented Media height\tEye movement type\t"
    header += "Gaze event duration\tEye movement type index\tFixation point X (MCSnorm)\tFixation point Y (MCSnorm)"
    start = "Eye Tracker\tp1\tr1\t9000\tface.jpg\t200\t100\tFixation"
    path = write(
        tmp_path / "lab.tsv",
        header,
        f"5000\t{start}\t150\t1\t0,5025\t0,255",
        f"15000\t{start}\t150\t1\t0,5025\t0,255".replace("Eye Tracker", "Gyroscope"),
        f"8000000\t{start}\t99,5\t2\t0,1\t0,2",
        f"8150000\t{start}\t80\t3\t\t",
        delimiter=",",
    )
    result = recordings.read([path])
    np.testing.assert_allclose(result.table.iloc[:, 2:], [[100, 25, 150, 5], [19.5, 19.5, 99.5, 8000]], atol=1e-9)
    assert result.counts == {"fixations outside their stimulus": 1}


def test_positions_on_the_screen_and_a_photo_shown_at_twice_its_size(tmp_path):
    header = STUDIO.replace(" (MCSpx)", " (ADCSpx)") + ",MediaPosX (ADCSpx),MediaPosY (ADCSpx)"
    rows = [f"{row},300,200" for row in studio((1, 0, 200, 301, 205), (2, 100, 50, 299, 205), size=(100, 80))]
    result = recordings.read([write(tmp_path / "a.csv", header, *rows)], size=(50, 40))
    # the display pixel 1 is the second half of the photo's pixel 0
    np.testing.assert_allclose(result.table[["start_x", "start_y"]], [[0.25, 2.25]])
    assert result.counts["fixations outside their stimulus"] == 1


def test_what_is_no_fixation_is_counted(tmp_path):
    rows = [*studio((1, 0, 200, 10, 20), (2, 40, 100, 110, 20))]
    rows += [rows[0], rows[0]]  # one sample twice
    rows += studio((3, -20, 100, 1, 1), step=40)  # a negative time
    rows += studio((4, 300, -1, 1, 1), step=40)  # a negative duration
    rows += studio((5, 400, "long", 1, 1), step=40)
    rows += studio((1, 0, 100, 1, 1), subject="p2", media="9")
    rows += studio((1, 0, 100, 1, 1), subject="p3", screen="1920x1080")
    rows += ["p4,1280x1024,1,100,80,0,,Saccade,20,,,500", "p1,1280x1024,1,10"]
    path, stimuli = write(tmp_path / "a.csv", STUDIO, *rows), write(tmp_path / "map.csv", "ID,FileName", "1,a.jpg")
    result = recordings.read([path], stimuli=stimuli, screen="1280x1024")
    assert result.table.values.tolist() == [["p1", "a.jpg", 10, 20, 200, 0]]
    assert result.counts == {
        "fixations outside their stimulus": 1,
        "repeated rows": 1,
        "rows or events with a negative time or duration": 2,
        "rows or events without the numbers that they need": 1,
        "fixations on unknown stimuli": 1,
        "fixations on a screen of another size": 1,
        "rows with too few or too many values": 1,
        "gaps in the samples": 2,
    }
    assert result.unknown == {"9": 1} and result.without_fixations == ["p2", "p3", "p4"]
    assert result.screens == {"1280x1024": 2, "1920x1080": 1}
    assert "screens of different sizes: 1280x1024 (2 people), 1920x1080 (1 people)" in "\n".join(result.report())


def test_blinks_losses_and_gaps(tmp_path):
    lines = list(studio((1, 0, 3000, 10, 20), step=40))
    lines += [
        f"p1,1280x1024,1,100,80,{time},1,Fixation,3000,10,20,{'' if 500 <= time < 650 or 1000 <= time < 1800 else 5}"
        for time in (*range(40, 2000, 10), *range(2500, 2600, 10))
    ]
    assert recordings.read([write(tmp_path / "a.csv", STUDIO, *lines)]).counts == {
        "blinks": 1,
        "losses of the eyes": 1,
        "gaps in the samples": 1,
    }


def test_a_stimulus_that_is_shown_again_is_no_gap(tmp_path):
    shown = [studio((1, 0, 30, 1, 1)), studio((2, 40, 30, 1, 1), media="2"), studio((3, 5000, 30, 1, 1))]
    path = write(tmp_path / "a.csv", STUDIO, *(row for rows in shown for row in rows))
    result = recordings.read([path])
    assert len(result.table) == 3 and not result.counts


def test_rows_without_a_stimulus_in_a_file_that_begins_with_its_column(tmp_path):
    rows = [row.split(",") for row in (STUDIO, *studio((1, 0, 30, 1, 1)), *studio((2, 40, 30, 1, 1), media=""))]
    path = write(tmp_path / "a.csv", *(",".join([row[2], *row[:2], *row[3:]]) for row in rows))
    result = recordings.read([path])
    assert result.table.image.tolist() == ["1"] and result.counts == {"fixations without a stimulus": 1}


def test_a_map_of_stimuli_beside_the_recordings(tmp_path):
    write(tmp_path / "recording.csv", STUDIO, *studio((1, 0, 30, 1, 1)))
    stimuli = write(tmp_path / "a_map.csv", "ID,FileName", "1,a.jpg")
    assert recordings.read([tmp_path], stimuli=stimuli).table.image.tolist() == ["a.jpg"]


def test_a_person_on_two_screens(tmp_path):
    rows = [*studio((1, 0, 30, 1, 1)), *studio((1, 0, 30, 1, 1), media="2", screen="1920x1080")]
    result = recordings.read([write(tmp_path / "a.csv", STUDIO, *rows)])
    assert result.screens == {"1280x1024": 1, "1920x1080": 1}
    assert "screens of different sizes" in "\n".join(result.report())


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (["a,b", "1,2"], {"kind": "tobii"}, "lacks the columns participantname, recordingtimestamp"),
        (["a,b", "1,2"], {}, "not recognised; expected tobii, eyelink, bids, samples, csv"),
        ([STUDIO, "p1,1280x1024,1,100,80,5,1,Fixation,3,5,1,7,2,4"], {}, "export with tabs or semicolons"),
        ([STUDIO], {}, "no fixation on any photo: nothing was left out"),
        ([STUDIO.replace(" (MCSpx)", "")], {}, r"lacks the positions of the fixations .* expected FixationPointX"),
        ([STUDIO, *studio((1, 0, 9, 1, 1))], {"screen": "9x9"}, "1 fixations on a screen of another size"),
        ([STUDIO, *studio((1, 0, 9, 1, 1))], {"kind": "smi"}, "kind: expected tobii, eyelink"),
        ([STUDIO, *studio((1, 0, 9, 1, 1))], {"place": "left"}, "place: expected 'centre' or four numbers"),
        (["x"], {}, "expected a table with a header"),
    ],
)
def test_unusable_files_and_arguments(tmp_path, lines, options, message):
    with pytest.raises(UserError, match=message):
        recordings.read([write(tmp_path / "a.csv", *lines)], **options)


def test_missing_and_undecodable_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv is missing; expected an export"):
        recordings.read([tmp_path / "nothing.csv"])
    with pytest.raises(UserError, match=r"expected files \*\.asc, found none"):
        recordings.read([tmp_path], "eyelink")
    (tmp_path / "a.csv").write_bytes(STUDIO.encode() + "\nJörg".encode("latin-1"))
    with pytest.raises(UserError, match="expected text in UTF-8 or UTF-16"):
        recordings.read([tmp_path / "a.csv"])
    write(tmp_path / "a.csv", STUDIO, '"' + "x" * 200_000)
    with pytest.raises(UserError, match=r"a\.csv is not readable as a table: field larger than field limit"):
        recordings.read([tmp_path / "a.csv"])
    with pytest.raises(UserError, match="1 has two photos"):
        recordings.read(
            [write(tmp_path / "b.csv", STUDIO, *studio((1, 0, 9, 1, 1)))],
            stimuli=write(tmp_path / "map.csv", "a,b", "1,x", "01,y"),
        )


ASC = """\
** CONVERTED FROM p7.edf
MSG\t100 DISPLAY_COORDS 0 0 399 299
MSG\t1000 TRIALID 1
MSG\t1001 !V IMGLOAD CENTER faces/a.jpg 200 150
SFIX L   1010
1010\t180.0\t140.0\t900.0\t...
EFIX L   1010\t1200\t191\t  180.5\t  140.0\t    900
EFIX R   1010\t1190\t181\t  182.5\t  141.0\t    900
EBLINK L 1210\t1300\t91
EFIX L   1310\t1400\t-91\t  180.5\t  140.0\t    900
EFIX L   1410\t1500\t91
EFIX L   1510\t1600\t91\t  10.0\t  140.0\t    900
MSG\t1700 TRIAL_RESULT 0
EFIX L   1710\t1800\t91\t  180.5\t  140.0\t    900
MSG\t2000 TRIALID b.jpg
EFIX L   2010\t2100\t91\t  200.0\t  150.0\t    900
END\t2200
"""


def test_eyelink(tmp_path):
    path = tmp_path / "p7.asc"
    path.write_text(ASC)
    result = recordings.read([path], size=(100, 80), place="centre")
    # a photo of 100 x 80 in the middle of 400 x 300 begins at (150, 110)
    assert result.table.values.tolist() == [
        ["p7", "faces/a.jpg", 30.5, 30, 191, 1010],
        ["p7", "b.jpg", 50, 40, 91, 2010],
    ]
    assert result.counts == {
        "fixations outside their stimulus": 1,
        "fixations of the other eye": 1,
        "blinks": 1,
        "rows or events with a negative time or duration": 1,
        "rows with too few or too many values": 1,
        "fixations without a stimulus": 1,
    }
    own = recordings.read([path], size=(100, 80), place=(150, 110, 100, 80), message=r"TRIALID (?P<name>b\S+)")
    assert own.table.image.tolist() == ["b.jpg"]


def asc(tmp_path, *lines):
    path = tmp_path / "p7.asc"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_eyelink_fixations_are_on_what_was_shown_when_they_began(tmp_path):
    path = asc(
        tmp_path,
        "MSG 2001 !V IMGLOAD FILL faces/b.jpg",
        "EFIX L 1800 2100 301 10 10 900",
        "MSG 2500 !V CLEAR",
        "EFIX L 2200 2600 401 20 20 900",
    )
    result = recordings.read([path])
    assert result.table[["image", "timestamp"]].values.tolist() == [["faces/b.jpg", 2200]]
    assert result.counts == {"fixations without a stimulus": 1}


def test_eyelink_variables_at_the_end_of_a_trial_describe_the_whole_trial(tmp_path):
    """In the order of SR Research's examples: the screen is cleared before and after the recording."""
    trial = [
        "MSG {0}000 TRIALID {0}",
        "MSG {0}001 !V CLEAR 128 128 128",
        "START {0}100 LEFT EVENTS",
        "EFIX L {0}110 {0}200 91 10 10 900",
        "{1}",
        "EFIX L {0}610 {0}700 91 20 20 900",
        "MSG {0}800 !V CLEAR 128 128 128",
        "END {0}900 EVENTS RES 30 30",
        "MSG {0}950 !V TRIAL_VAR condition upright",
        "MSG {0}950 !V TRIAL_VAR image {2}.jpg",
        "MSG {0}951 TRIAL_RESULT 0",
    ]
    nothing, late = "** nothing", "MSG 3900 300 !V IMGLOAD FILL own.jpg"
    parts = ((1, nothing, "a"), (2, nothing, "b"), (3, late.replace("3900", "3850").replace("300", "350"), "c"))
    path = asc(tmp_path, *(line.format(*part) for part in parts for line in trial))
    result = recordings.read([path])
    assert result.table.image.tolist() == ["a.jpg", "a.jpg", "b.jpg", "b.jpg", "own.jpg"]
    assert result.table.timestamp.tolist() == [1110, 1610, 2110, 2610, 3610]
    assert result.counts == {"fixations without a stimulus": 1}  # before its trial's image was loaded


def test_eyelink_messages_with_an_offset_were_sent_too_late(tmp_path):
    path = asc(
        tmp_path,
        "EFIX L 1010 1200 191 10 10 900",
        "MSG 1480 480 !V IMGLOAD FILL a.jpg",
        "EFIX L 1510 1600 91 20 20 900",
        "EFIX L 1710 1800 91 20 20 900",
        "MSG 1900 200 TRIAL_RESULT 0",
    )
    assert recordings.read([path]).table.timestamp.tolist() == [1010, 1510]


@pytest.mark.parametrize(
    "coordinates",
    ["GAZE_COORDS 0.00 0.00 1919.00 1079.00", "DISPLAY_COORDS = 0 0 1919 1079", "DISPLAY_COORDS 0 0 1919 1079"],
)
def test_eyelink_screens(tmp_path, coordinates):
    path = asc(tmp_path, f"MSG 90 {coordinates}", "MSG 100 TRIALID a", "EFIX L 110 200 91 10 10 900")
    assert recordings.read([path], screen="1920x1080").screens == {"1920x1080": 1}


def test_eyelink_losses_by_their_duration(tmp_path):
    blinks = [f"EBLINK L 1000 {1000 + length} {length}" for length in (20, 100, 500, 700)]
    path = asc(tmp_path, "MSG 100 TRIALID a", "EFIX L 110 200 91 10 10 900", *blinks)
    assert recordings.read([path]).counts == {"blinks": 2, "losses of the eyes": 1}


def test_eyelink_samples_of_two_trials_with_a_gap_in_one(tmp_path):
    pytest.importorskip("pymovements", reason="needs the extra gaze")
    lines = []
    for start, gap in ((1000, 0), (4000, 100)):
        lines += [f"MSG {start} TRIALID a", f"START {start} LEFT SAMPLES EVENTS"]
        lines += [f"{start + step + gap * (step > 400)} 100.0 100.0 900.0 ..." for step in range(0, 800, 4)]
        lines += [f"EBLINK L {start} {start + 700} 700", f"END {start + 1000} SAMPLES EVENTS RES 30 30"]
    result = recordings.read([asc(tmp_path, *lines)], detect="idt")
    assert result.counts == {"gaps in the samples": 1} and result.table.image.tolist() == ["a", "a", "a"]


def test_eyelink_without_events(tmp_path):
    path = tmp_path / "p7.asc"
    path.write_text("".join(line for line in ASC.splitlines(True) if not line.startswith("E")))
    with pytest.raises(UserError, match=r"has no fixations \(EFIX\): convert .* or detect fixations .* --detect idt"):
        recordings.read([path])
    path.write_text("nothing of the kind\n")
    with pytest.raises(UserError, match="expected an EyeLink ASC file"):
        recordings.read([path])
    with pytest.raises(UserError, match=r"expected a regular expression with a group \(\?P<name>"):
        recordings.read([path], message="TRIALID")


def samples(*places, interval=4, length=300):
    """Times and points of fixations of `length` ms each, with noise of a twentieth of a degree."""
    times = np.arange(0, length * len(places), interval)
    points = np.repeat(np.array(places, float), length // interval, axis=0)
    return times, points + np.random.default_rng(0).normal(0, 0.5, points.shape)


@pytest.mark.parametrize("method", detection.METHODS)
def test_detected_fixations(method):
    pytest.importorskip("pymovements", reason="needs the extra gaze")
    times, points = samples((100, 100), (300, 120), (150, 400))
    points[27:47] = np.nan  # a blink divides the first fixation into two
    points[100:110] = np.nan  # too short for a blink
    times = times + np.random.default_rng(1).integers(-1, 2, len(times))  # a tracker's clock
    found = detection.fixations(times, points, method)
    np.testing.assert_allclose(found[:, :2], [(100, 100), (100, 100), (300, 120), (150, 400)], atol=8)
    np.testing.assert_allclose(found[:, 2], [0, 188, 300, 600], atol=16)
    np.testing.assert_allclose(found[:, 3], [104, 108, 296, 296], atol=20)


@needs_fixations
@pytest.mark.parametrize("method", detection.METHODS)
def test_fixations_in_genuine_samples_are_where_the_tracker_found_them(tmp_path, method):
    """Of each fixation that lies in the recording, at least half is in a detected one, a few pixels away."""
    pytest.importorskip("pymovements", reason="needs the extra gaze")
    raw = FIXATIONS / "tobii_studio_export_003.csv"
    columns = ["ParticipantName", "RecordingTimestamp", "GazePointX(MCSpx)", "GazePointY(MCSpx)"]
    samples = pd.read_csv(raw, dtype={"ParticipantName": str})[columns].set_axis(["subject", "time", "x", "y"], axis=1)
    samples.assign(image="a").to_csv(tmp_path / "samples.csv", index=False)
    found = recordings.read([tmp_path / "samples.csv"], detect=method, pixels_per_degree=29).table
    matched, distances = 0, []
    for tracked in recordings.read([raw]).table.itertuples():
        own = found[found.subject == tracked.subject]
        ends = np.minimum(own.timestamp + own.duration, tracked.timestamp + tracked.duration)
        overlap = ends - np.maximum(own.timestamp, tracked.timestamp)
        if overlap.max() > tracked.duration / 2:
            best = own.loc[overlap.idxmax()]
            matched += 1
            distances.append(np.hypot(best.start_x - tracked.start_x, best.start_y - tracked.start_y))
    assert matched >= 20 and np.median(distances) < 2  # of 27


def test_samples_are_read(tmp_path):
    pytest.importorskip("pymovements", reason="needs the extra gaze")
    times, points = samples((40, 40), (140, 60))
    rows = [f"p1,a.jpg,{time},{x:.2f},{y:.2f}" for time, (x, y) in zip(times, points)]
    path = write(tmp_path / "s.csv", "subject,image,time,x,y", *rows, "p1,a.jpg,-5,1,1", "p1,a.jpg,,1,1")
    result = recordings.read([path])
    np.testing.assert_allclose(
        result.table[["start_x", "start_y"]], [(40, 40), (140, 60)], atol=3
    )  # I-DT takes a sample more
    assert sorted(result.counts.values()) == [1, 1]


def test_detection_needs_its_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pymovements.events", None)
    with pytest.raises(MissingPackageError, match=r'pip install "edram-fer\[gaze\]"'):
        detection.fixations([0, 1], [[0, 0], [0, 0]])
    with pytest.raises(UserError, match="detect: expected idt or ivt, got 'i'"):
        detection.fixations([], [], "i")


def bids_folder(root, **changes):
    """A recording in BIDS: one observer, 2 photos of 300 ms each, fixations logged by the tracker."""
    folder = root / "sub-01" / "beh"
    folder.mkdir(parents=True)
    times, points = samples((140, 110), (160, 130))
    stem = folder / "sub-01_task-look"
    about = {
        "PhysioType": "eyetrack",
        "Columns": ["timestamp", "x_coordinate", "y_coordinate"],
        "timestamp": {"Units": "ms"},
    } | changes
    (root / "task-look_physio.json").write_text(json.dumps(about))
    (root / "task-look_events.json").write_text(json.dumps({"StimulusPresentation": {"ScreenResolution": [300, 240]}}))
    (folder / f"{stem.name}_recording-eye1_physio.json").write_text(json.dumps({"StartTime": 0}))
    columns = {"Columns": ["onset", "duration", "trial_type", "blink", "message"]}
    (root / "task-look_physioevents.json").write_text(json.dumps(columns))
    with gzip.open(f"{stem}_recording-eye1_physio.tsv.gz", "wt") as file:
        file.writelines(f"{5000 + time}\t{x}\t{y}\n" for time, (x, y) in zip(times, points))
        file.write("5600\t1\n")
    with gzip.open(f"{stem}_recording-eye1_physioevents.tsv.gz", "wt") as file:
        file.write("5020\t0.25\tfixation\t0\tn/a\n5310\t0.2\tfixation\t0\tn/a\n5320\t0.1\tsaccade\t1\tn/a\n")
    Path(f"{stem}_events.tsv").write_text("onset\tduration\tstim_file\n0\t0.3\ta.jpg\n0.3\t0.3\tb.jpg\n0.9\t1\tn/a\n")
    return root


def test_bids(tmp_path):
    result = recordings.read([bids_folder(tmp_path)], size=(100, 80), place="centre")
    assert result.table.subject.tolist() == ["01", "01"] and result.table.image.tolist() == ["a.jpg", "b.jpg"]
    np.testing.assert_allclose(result.table[["start_x", "start_y"]], [(40, 30), (60, 50)], atol=0.3)
    np.testing.assert_allclose(result.table[["duration", "timestamp"]], [(250, 5020), (200, 5310)])
    assert result.counts == {"rows with too few or too many values": 1}  # the logged blink loses no sample


def test_bids_of_two_eyes(tmp_path):
    """The second eye has a fixation less, and both lose the same 100 ms in a blink, which the tracker logged, too."""
    folder = bids_folder(tmp_path) / "sub-01" / "beh"
    stem = folder / "sub-01_task-look_recording-"
    with gzip.open(f"{stem}eye1_physio.tsv.gz", "rt") as file:
        rows = [line.split("\t") for line in file][:-1]
    rows = [[time, "n/a", "n/a\n"] if 5100 <= int(time) < 5200 else [time, x, y] for time, x, y in rows]
    for eye in ("eye1", "eye2"):
        Path(f"{stem}{eye}_physio.json").write_text('{"StartTime": 0}')
        with gzip.open(f"{stem}{eye}_physio.tsv.gz", "wt") as file:
            file.writelines("\t".join(row) for row in rows)
    with gzip.open(f"{stem}eye2_physioevents.tsv.gz", "wt") as file:
        file.write("5022\t0.25\tfixation\t0\tn/a\n5100\t0.1\tsaccade\t1\tn/a\n")
    result = recordings.read([tmp_path], size=(100, 80), place="centre")
    assert result.table.timestamp.tolist() == [5020, 5310]
    assert result.counts == {"fixations of the other eye": 1, "blinks": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Columns": ["x_coordinate"]}, "expected metadata with the Columns timestamp, x_coordinate and y_coordinate"),
        ({"x_coordinate": {"Units": "deg"}}, "expected x_coordinate in pixels, got 'deg'"),
        ({"timestamp": {"Units": "h"}}, "timestamp: expected Units s, ms"),
        ({"PhysioType": "generic"}, "is no recording of gaze"),
    ],
)
def test_unusable_bids(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        recordings.read([bids_folder(tmp_path, **changes)])


def test_bids_without_stimuli_or_damaged(tmp_path):
    folder = bids_folder(tmp_path) / "sub-01" / "beh"
    data = folder / "sub-01_task-look_recording-eye1_physio.tsv.gz"
    whole = data.read_bytes()
    data.write_bytes(whole[:-20])
    with pytest.raises(UserError, match=r"physio\.tsv\.gz is damaged"):
        recordings.read([tmp_path])
    data.write_bytes(whole)
    (folder / "sub-01_task-look_events.tsv").write_text("onset\tduration\n0\t1\n")
    with pytest.raises(UserError, match="no event has a stim_file"):
        recordings.read([tmp_path])
    (folder / "sub-01_task-look_events.tsv").write_bytes(b"onset\tstim_file\n0\t\xff\n")
    with pytest.raises(UserError, match=r"events\.tsv is not readable as a table: 'utf-8' codec"):
        recordings.read([tmp_path])
    (folder / "sub-01_task-look_recording-eye1_physio.json").write_text('{"StartTime": "soon"}')
    (folder / "sub-01_task-look_events.tsv").write_text("onset\tstim_file\n0\ta.jpg\n")
    with pytest.raises(UserError, match="StartTime: expected a number of seconds, got 'soon'"):
        recordings.read([tmp_path])
    (folder / "sub-01_task-look_events.tsv").unlink()
    with pytest.raises(FileNotFoundError, match="its column stim_file says which stimulus was shown when"):
        recordings.read([tmp_path])


def test_a_table_of_fixations(tmp_path):
    header = "subject,image,start_x,start_y,duration"
    path = write(tmp_path / "a.csv", header, "p,a,1,2,3", "p,a,1,2,3", "p,a,x,2,3", "p,a,1,2,-3", "p,a,99,2,3")
    result = recordings.read([path], size=(10, 10))
    assert len(result.table) == 1 and math.isnan(result.table.timestamp[0])
    assert sorted(result.counts.values()) == [1, 1, 1, 1]
    result.write(tmp_path / "b.csv")
    assert recordings.read([tmp_path / "b.csv"]).table.equals(result.table)


def test_names_that_a_spreadsheet_would_execute_come_back_as_they_were(tmp_path):
    (tmp_path / "a.csv").write_text("subject,image,start_x,start_y,duration\n=1+1,-a.jpg,3.25,4,200\n")
    recordings.read([tmp_path / "a.csv"]).write(tmp_path / "b.csv")
    assert "'=1+1,'-a.jpg,3.25,4.0,200.0" in (tmp_path / "b.csv").read_text()
    again = recordings.read([tmp_path / "b.csv"]).table
    assert again.subject.tolist() == ["=1+1"] and again.image.tolist() == ["-a.jpg"]
    read = fixations.read_for_images(tmp_path / "b.csv", ["-a.jpg"], (10, 10))
    assert list(read.subject) == ["=1+1"] and read.points.tolist() == [[3.25, 4]]
