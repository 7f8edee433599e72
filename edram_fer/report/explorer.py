"""The interactive maps of a comparison: a small image for each run, emotion and step."""

from typing import Any

import numpy as np
from PIL import Image

from edram_fer import attention
from edram_fer.comparison.study import Study
from edram_fer.figures.differences import round_up, tint
from edram_fer.figures.heatmaps import blend, scale
from edram_fer.report.images import webp

SIDE = 240  # pixels of a tile's width
ALL_STEPS = "mean"


def explorer(study: Study) -> dict[str, Any]:
    """The data that the script of the comparison page reads.

    Args:
        study: a comparison in which at least one run has maps.

    Returns:
        A dict with
        "emotions": names, "all" first;
        "steps": "1", "2", ..., "mean";
        "panels": [{"name", "tiles": {emotion: {step: {"uri", "alt", "caption"}}}}, ...], one per run with windows, then
        one for the difference of each later run from the first. Steps that a recurrent run does not have are absent; a
        run that is not recurrent has the same tile at every step;
        "scales": [{"stops": CSS colours, "ends": texts, "label"}, ...] of the maps and of the differences.
    """
    longest = max(len(maps["all"]) for maps in study.maps.values()) - 1
    steps = [*map(str, range(1, longest + 1)), ALL_STEPS]
    top = scale([values.max() for maps in study.maps.values() for values in maps.values()])
    panels = [_run_panel(study, name, top, steps) for name in study.maps]
    scales = [
        _scale(
            lambda face, level: blend(face, level, top),
            0,
            top,
            "share of images in which the model looks here",
            ("0 %", f"{100 * top:.0f} %"),
        )
    ]
    if study.differences:
        pixels = np.prod(study.images.shape[1:3])
        maps = [
            values for groups in study.differences.values() for steps in groups.values() for values in steps.values()
        ]
        largest = round_up(max(np.abs(np.nan_to_num(values)).max() for values in maps) * pixels)
        panels += [_difference_panel(study, name, largest, pixels, steps) for name in study.differences]
        ends = (f"−{largest:g}", f"+{largest:g}")
        scales.append(
            _scale(
                lambda face, level: tint(face, level, largest),
                -largest,
                largest,
                "difference, in units of a uniform density",
                ends,
            )
        )
    return {"emotions": list(study.faces), "steps": steps, "panels": panels, "scales": scales}


def _run_panel(study, name, top, steps):
    glimpses = {(row["emotion"], str(row["glimpse"])): row for row in study.tables["glimpses"] if row["run"] == name}
    tiles = {}
    for emotion, maps in study.maps[name].items():
        tiles[emotion] = {}
        for index, share in enumerate(maps):
            step = ALL_STEPS if index == len(maps) - 1 else str(index + 1)
            row = glimpses.get((emotion, "1" if len(maps) == 1 else step))
            caption = (
                "all windows together"
                if row is None
                else (f"zoom {row['zoom']:.2f}, centre ({row['x']:+.2f}, {row['y']:+.2f}), spread {row['spread']:.3f}")
            )
            tiles[emotion][step] = _tile(blend(study.faces[emotion], share, top), name, emotion, step, caption)
        if len(maps) == 1:  # the run uses all windows at once, so it has the same map at every step
            tiles[emotion] = dict.fromkeys(steps, tiles[emotion][ALL_STEPS])
    return {"name": name, "tiles": tiles}


def _difference_panel(study, name, largest, pixels, steps):
    title, tiles = f"{name} − {next(iter(study.maps))}", {}
    for emotion, maps in study.differences[name].items():
        tiles[emotion] = {}
        for step, values in maps.items():
            step = str(step)
            caption = f"total variation {attention.total_variation(values):.0%}"
            if np.isnan(values).any():
                caption = "the windows of one run lie outside the image"
            face = tint(study.faces[emotion], np.nan_to_num(values * pixels), largest)
            tiles[emotion][step] = _tile(face, title, emotion, step, caption)
        if len(maps) == 1:  # both runs use all windows at once
            tiles[emotion] = dict.fromkeys(steps, tiles[emotion][ALL_STEPS])
    return {"name": title, "tiles": tiles}


def _tile(pixels, name, emotion, step, caption):
    image = Image.fromarray(np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8))
    enlarged = image.resize((SIDE, round(SIDE * image.height / image.width)), Image.Resampling.BICUBIC)
    step_name = "all glimpses" if step == ALL_STEPS else f"glimpse {step}"
    return {"uri": webp(enlarged, quality=80), "alt": f"{name}: {emotion}, {step_name}; {caption}", "caption": caption}


def _scale(colour, low, high, label, ends):
    """Colours of a scale over medium grey, as they appear on the faces."""
    levels = np.linspace(low, high, 9)[None]
    colours = colour(np.full(levels.shape, 0.55), levels)[0]
    stops = ["#" + "".join(f"{round(255 * float(part)):02x}" for part in np.clip(rgb, 0, 1)) for rgb in colours]
    return {"stops": stops, "ends": list(ends), "label": label}
