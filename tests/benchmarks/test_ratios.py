"""The table of all ratios, and the page that is made from it."""

from types import SimpleNamespace

import pytest

from benchmarks import ratios
from edram_fer import files


def test_a_ratio_says_how_much_better_the_second_is():
    assert ratios.row("time", "ms", {"slow": 30.0, "fast": 10.0})["ratio"] == 3
    assert ratios.row("speed", "images/s", {"slow": 10.0, "fast": 30.0}, less=False)["ratio"] == 3


def test_calls_take_turns_and_the_first_round_is_not_counted(monkeypatch):
    clock, order = [0.0], []
    monkeypatch.setattr(ratios, "time", SimpleNamespace(process_time=lambda: clock[0]))

    def call(name, seconds):
        order.append(name)
        clock[0] += seconds if name in order[:-1] else 9  # the first call compiles

    assert ratios.in_turn({"a": lambda: call("a", 2), "b": lambda: call("b", 4)}, 3) == {"a": 2000, "b": 4000}
    assert order == ["a", "b"] * 4


def test_the_page_is_written_from_the_results(tmp_path, monkeypatch):
    results = files.read_json(ratios.RESULTS)
    assert ratios.table(results) in ratios.PAGE.read_text("utf-8")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{ratios.BEGIN}\nold\n{ratios.END}\nafter", "utf-8")
    monkeypatch.setattr(ratios, "PAGE", page)
    ratios.write_page(results | {"machine": "a | machine"})
    text = page.read_text("utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter") and "a | machine" in text and "old" not in text
    page.write_text("no comments", "utf-8")
    with pytest.raises(ValueError, match="expected one"):
        ratios.write_page(results)
