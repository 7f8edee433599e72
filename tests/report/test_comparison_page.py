"""The page of a comparison: complete in itself, and leafed through in a real browser by mouse and by keyboard."""

import base64
import csv
import functools
import io
import re
import shutil

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from support.fake_runs import (
    COUNT,
    EMOTIONS,
    NASTY,
    SIZE,
    random_run,
    write_occlusion,
    write_robustness,
    write_three_runs,
)

from edram_fer import files
from edram_fer.comparison import score_tables
from edram_fer.figures import comparison, style
from edram_fer.report import comparison as report
from edram_fer.report import images
from edram_fer.report.comparison import compare

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
NAMES = ("a", "short", "cnn")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A comparison of runs of three glimpses, of two, and of a model without windows."""
    root = tmp_path_factory.mktemp("comparison")
    images, _ = write_three_runs(root, recipe=NASTY, test_pose=30, test_flip=COUNT)
    for name in ("a", "cnn"):
        write_robustness(root / name, (0.8, 0.6, 0.3, 0.8, 0.5), images=24)
        write_occlusion(root / name, images, np.random.default_rng(0).normal(0, 0.1, (12, SIZE, SIZE)))
    for seed, name in enumerate(("short", "cnn")):
        files.write_json(root / name / "recipe.json", {**files.read_json(root / name / "recipe.json"), "seed": seed})
    metrics = files.read_json(root / "cnn" / "metrics.json")
    files.write_json(root / "cnn" / "metrics.json", {**metrics, "run": {**metrics["run"], "flops": 243_960_000}})
    result = {"value": 0.1, "interval": [0.05, 0.15]}
    contrasts = {"model - mean": result, "mean - random": result}
    files.write_json(
        root / "a" / "window_ablation.json", {"split": "test", "accuracy": {"model": result}, "contrasts": contrasts}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "save", functools.partial(style.save, dpi=40))  # small images are quickly made
        eyes = root / "eyes.csv"
        eyes.write_text("subject,image,start_x,start_y,duration\nann,1,3,4,1\nann,2,8,4,1\nbob,1,5,5,1\n")
        return compare([root / name for name in NAMES], root / "out", fixations=eyes, repeats=20)


def test_the_page_is_complete_and_says_what_is_left_out(page):
    text = page.read_text(encoding="utf-8")
    addresses = re.findall(r'\b(?:src|href|action|srcset)="([^"]*)"', text)
    assert addresses and all(re.match(r"#|data:", address) for address in addresses)
    assert "url(" not in text and "@import" not in text and NASTY not in text
    assert "3 fixations of 2 people on 2 images" in text and 'id="figure-human_agreement"' in text
    assert "The landmarks are part of the data set. Every face has landmarks." in text.replace("&#39;", "'")
    assert "cnn has no windows of its own" in text
    lacking = re.findall(r"<p>(\w+) (?:was not|has no results).*?: <code>edram-fer (.*?)</code>", text)
    short, options = page.parent.parent / "short", "--split test --split test_pose --flip"
    assert lacking == [
        *((name, f"evaluate {page.parent.parent / name} {options}") for name in ("short", "cnn")),
        *(("short", f"{command} {short} --split test") for command in ("robustness", "saliency", "window-ablation")),
    ]
    assert page.stat().st_size < 1_200_000
    assert all(len(alt) > 30 for alt in re.findall(r'<img id="figure-[^>]* alt="([^"]*)"', text))


def test_numbers_and_figures_lie_beside_it(page):
    files_written = {path.name for path in page.parent.iterdir()}
    names = (
        "scores",
        "pairs",
        "groups",
        "recalls",
        "accuracy_after_glimpse",
        "early_exit",
        "glimpses",
        "regions",
        "window_ablation",
        "map_agreement",
        "image_agreement",
        "human_agreement",
        "samples",
        "settings",
        "splits",
        "robustness",
        "saliency",
        "saliency_agreement",
        "saliency_regions",
    )
    assert files_written == {"comparison.html", "figures", *(f"{name}.csv" for name in names)}
    with open(page.parent / "scores.csv", newline="", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    assert [row["run"] for row in rows] == [*NAMES] and rows[0]["parameters"] == ""
    assert [row["flops"] for row in rows] == ["", "", "243960000"]
    scores = files.read_json(page.parent.parent / "a" / "metrics.json")["splits"]["test"]
    assert float(rows[0]["accuracy"]) == scores["accuracy"]
    figures = {path.name for path in (page.parent / "figures").iterdir()}
    assert {"robustness.svg", "saliency.png", "splits.svg"} <= figures
    assert {"heatmaps_1.png", "heatmaps_2.png", "differences_2.png", "window_ablation.svg", "paths_1.png"} <= figures
    assert not {"heatmaps_3.png", "differences_1.png", "differences_3.png"} & figures


def test_figures_as_pdf_on_request(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "_score_figures", lambda study: {"scores.svg": Figure()})
    monkeypatch.setattr(comparison, "_face_figures", lambda study: {})
    for pdf, expected in ((False, ["scores.svg"]), (True, ["scores.pdf", "scores.svg"])):
        assert comparison.draw(None, tmp_path, pdf=pdf) == {"scores": tmp_path / "scores.svg"}
        assert sorted(path.name for path in tmp_path.iterdir()) == expected
    assert (tmp_path / "scores.pdf").read_bytes().startswith(b"%PDF")


def table(text, head):
    """Cells of the table whose first head is `head`, a list for each row."""
    content = next(
        part
        for part in re.findall(r"<table.*?</table>", text, re.DOTALL)
        if re.search(r'<th scope="col">(.*?)</th>', part)[1] == head
    )
    rows = re.findall(r"<tr>(.*?)</tr>", content, re.DOTALL)
    cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in rows]
    return [[" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in row] for row in cells]


def test_the_tables_of_the_page(page):
    text = page.read_text(encoding="utf-8")
    splits = re.search(r'<table id="split-table">.*?</table>', text, re.DOTALL)[0]
    heads, a, short, cnn = table(splits, "Run")
    assert heads == ["Run", "test 40", "test_pose 30"]
    assert short[0] == "short" and short[2] == cnn[2] == "" and " to " in a[2]
    assert "<h3>Averaged with the mirror images</h3>" in text
    assert table(text, "Side of a black square")[2] == ["50 %", *["60.0 % −20.0 (−22.0 to −19.0)"] * 2]
    assert table(text, "Rotation")[1:] == [["0°", *["80.0 %"] * 2], ["90°", *["50.0 % −30.0 (−32.0 to −29.0)"] * 2]]
    assert "24 images, balanced over the emotions (seed 0), so the accuracies differ from the table above." in text
    assert "12 images (seed 0), a square of 4 pixels of grey level 0 every 2 pixels." in text
    assert table(text, "Correlation of")[1][:2] == ["a, cnn", "1.00"]  # the same maps
    assert len(table(text, "Drop of the probability")) == 3
    cost = [row[-2] for row in table(text, "Run")]
    assert (
        cost == ["million operations", "–", "–", "244.0"]
        and "evaluated without TensorFlow or by an older version" in text
    )


@pytest.fixture
def without_figures(page, tmp_path, monkeypatch):
    """Folder of copies of a and cnn, and a function to the words of their page, of which no figure is drawn."""
    for name in ("a", "cnn"):
        shutil.copytree(page.parent.parent / name, tmp_path / name)
    monkeypatch.setattr(report, "draw", lambda study, folder, pdf: {})

    def text():
        written = compare([tmp_path / "a", tmp_path / "cnn"], tmp_path / "out", repeats=2)
        return " ".join(written.read_text(encoding="utf-8").split())

    return tmp_path, text


def test_what_was_not_asked_takes_no_room(without_figures):
    folder, text = without_figures
    for name in ("a", "cnn"):
        for path in ("robustness.json", "saliency_occlusion.npz"):
            (folder / name / path).unlink()
    text = text()
    assert 'href="#robustness"' not in text and 'id="information"' not in text
    assert "edram-fer robustness RUN --split test" in text and "edram-fer saliency RUN --split test" in text
    assert not list((folder / "out").glob("saliency*.csv")) and not (folder / "out" / "robustness.csv").exists()


def test_models_without_windows_have_no_paths(without_figures):
    folder, text = without_figures
    assert "Numbered dots" in text()
    shutil.copytree(folder / "cnn", folder / "other")
    page = compare([folder / "cnn", folder / "other"], folder / "out", repeats=2).read_text(encoding="utf-8")
    assert "Numbered dots" not in page and "No run predicts after each of several glimpses" in page


def test_what_was_asked_differently_says_so(without_figures):
    folder, text = without_figures
    write_robustness(folder / "cnn", (0.7, 0.6, 0.3, 0.7, 0.5))
    write_occlusion(folder / "cnn", random_run()[0], np.zeros((7, SIZE, SIZE)))
    text = text()
    assert "differ from the table above; cnn: all 40 images. The images differ between the runs" in text
    assert "cnn: 7 images (seed 0), a square" in text and "The settings differ" in text
    assert table(text, "Correlation of")[1][:2] == ["a, cnn", "–"]  # a map that is 0 everywhere


def test_what_few_people_cannot_tell_is_not_told(without_figures, monkeypatch):
    folder, text = without_figures
    content = files.read_json(folder / "a" / "robustness.json")
    for row in content["occlusion"] + content["rotation"]:  # of the photos of one person
        row["accuracy_interval"] = row["accuracy_drop_interval"] = [None, None]
    files.write_json(folder / "a" / "robustness.json", content)
    pair_rows = score_tables.pair_rows

    def pairs(*args, **options):
        row = {**pair_rows(*args, **options)[0], "accuracy_difference": 0.1, "accuracy_low": 0.1, "accuracy_high": 0.1}
        return [{**row, "p": 0.49985, "p_holm": 0.9997}, {**row, "p": 0.001, "p_holm": 0.002, "run": "short"}]

    monkeypatch.setattr(score_tables, "pair_rows", pairs)
    page = text()
    assert table(page, "Side of a black square")[2] == ["50 %", "60.0 % −20.0", "60.0 % −20.0 (−22.0 to −19.0)"]
    assert "<strong>a</strong> do not differ clearly: +10.0 points (+10.0 to +10.0; p = .500, adjusted p = 1)" in page
    assert "short</strong> is 10.0 points better than <strong>a</strong> (+10.0 to +10.0; p = .001, adjusted" in page


def test_images_that_are_too_long_for_the_format_are_shrunk():
    address = images.webp(Image.new("L", (2, 20_000)))
    assert Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).size == (2, 16383)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="a page is tried with playwright")
    if BROWSER is None:
        pytest.skip("no chromium or google-chrome here to try a page with")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=[1400, 420])
def opened(browser, page, request):
    """The page opened as a file in a window of some width; it may complain of nothing and ask for nothing."""
    tab, messages, requests = browser.new_page(viewport={"width": request.param, "height": 900}), [], []
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("request", lambda wanted: requests.append(wanted.url))
    tab.goto(page.as_uri())
    yield tab
    assert messages == [] and [url for url in requests if not url.startswith("data:")] == [page.as_uri()]
    tab.close()


def shown_images(tab):
    """[(address, alternative text) or None where a run has no such glimpse] of the panels."""
    return tab.eval_on_selector_all(".panel img", "all => all.map(one => one.hidden ? null : [one.src, one.alt])")


def test_slider_and_selector_change_the_images(opened):
    first = shown_images(opened)
    assert len(first) == 3  # two runs and their difference; the third has no windows
    assert [alt.split(";")[0] for _, alt in first] == [
        "a: all, glimpse 1",
        "short: all, glimpse 1",
        "short − a: all, glimpse 1",
    ]
    opened.locator("#step").fill("2")
    third = shown_images(opened)
    assert third[0][1].startswith("a: all, glimpse 3;") and third[0][0] != first[0][0]
    assert third[1:] == [None, None] and opened.locator(".missing:visible").count() == 2
    opened.locator("#step").fill("3")
    assert shown_images(opened)[1][1].startswith("short: all, all glimpses;")
    assert opened.locator(".missing:visible").count() == 0
    opened.locator("#emotion").select_option("sad")
    last = shown_images(opened)
    assert last[1][1].startswith("short: sad, all glimpses;") and last[1][0] not in (first[1][0], third[0][0])
    assert opened.locator("#step-name").inner_text() == "all glimpses"
    sizes = opened.eval_on_selector_all(".panel img", "all => all.map(one => one.naturalWidth)")
    assert sizes == [240] * 3  # they are images, not broken addresses


def test_the_keyboard_is_enough(opened):
    opened.locator("#emotion").focus()
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("Tab")
    opened.keyboard.press("ArrowRight")
    assert shown_images(opened)[0][1].startswith(f"a: {EMOTIONS[0]}, glimpse 2;")
    assert opened.locator("#step").get_attribute("aria-valuetext") == "glimpse 2"


def test_nothing_is_wider_than_the_window(opened):
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
