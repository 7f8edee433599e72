"""The maps that a reader of a comparison leafs through: a small image for each run, emotion and step."""

import numpy as np
from PIL import Image

from edram_fer import attention
from edram_fer.figures.differences import round_up, tinted
from edram_fer.figures.heatmaps import blend, scale
from edram_fer.report.images import webp

SIDE = 240  # pixels of a tile's width
ALL_STEPS = "mean"


def explorer(study):
    """Tiles of a comparison, as what the page's script reads.

    Args:
        study: `edram_fer.comparison.study.Study` with maps.

    Returns: dict of
        emotions, steps: names, "all" first, and "1", ..., "mean";
        panels: [{"name", "tiles": {emotion: {step: {"uri", "alt", "caption"}}}}, ...], one for each run that looks,
            then one for the difference of each to the first; a step that a recurrent run has not is absent, and one
            that is not recurrent is the same at every step;
        scales: [{"stops": CSS colours, "ends": texts, "label"}, ...] of all maps and of all differences.
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
            "share of the images looked at here",
            ("0 %", f"{100 * top:.0f} %"),
        )
    ]
    if study.differences:
        pixels = np.prod(study.images.shape[1:3])
        every = [each for maps in study.differences.values() for group in maps.values() for each in group.values()]
        most = round_up(max(np.abs(np.nan_to_num(each)).max() for each in every) * pixels)
        panels += [_difference_panel(study, name, most, pixels, steps) for name in study.differences]
        ends = (f"−{most:g}", f"+{most:g}")
        scales.append(
            _scale(
                lambda face, level: tinted(face, level, most),
                -most,
                most,
                "difference, in units of an even density",
                ends,
            )
        )
    return {"emotions": list(study.faces), "steps": steps, "panels": panels, "scales": scales}


def _run_panel(study, name, top, steps):
    told = {(row["emotion"], str(row["glimpse"])): row for row in study.tables["glimpses"] if row["run"] == name}
    tiles = {}
    for emotion, maps in study.maps[name].items():
        tiles[emotion] = {}
        for place, share in enumerate(maps):
            step = ALL_STEPS if place == len(maps) - 1 else str(place + 1)
            row = told.get((emotion, "1" if len(maps) == 1 else step))
            caption = (
                "all windows together"
                if row is None
                else (f"zoom {row['zoom']:.2f}, centre ({row['x']:+.2f}, {row['y']:+.2f}), spread {row['spread']:.3f}")
            )
            tiles[emotion][step] = _tile(blend(study.faces[emotion], share, top), name, emotion, step, caption)
        if len(maps) == 1:  # it looks at all its windows at once, and so at every step of the others
            tiles[emotion] = dict.fromkeys(steps, tiles[emotion][ALL_STEPS])
    return {"name": name, "tiles": tiles}


def _difference_panel(study, name, most, pixels, steps):
    title, tiles = f"{name} − {next(iter(study.maps))}", {}
    for emotion, maps in study.differences[name].items():
        tiles[emotion] = {}
        for step, values in maps.items():
            step = str(step)
            caption = f"{attention.total_variation(values):.0%} of the attention lies elsewhere"
            if np.isnan(values).any():
                caption = "one of the two looks beside the image"
            face = tinted(study.faces[emotion], np.nan_to_num(values * pixels), most)
            tiles[emotion][step] = _tile(face, title, emotion, step, caption)
        if len(maps) == 1:  # both look at all their windows at once
            tiles[emotion] = dict.fromkeys(steps, tiles[emotion][ALL_STEPS])
    return {"name": title, "tiles": tiles}


def _tile(pixels, name, emotion, step, caption):
    image = Image.fromarray(np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8))
    large = image.resize((SIDE, round(SIDE * image.height / image.width)), Image.Resampling.BICUBIC)
    when = "all glimpses" if step == ALL_STEPS else f"glimpse {step}"
    return {"uri": webp(large, quality=80), "alt": f"{name}: {emotion}, {when}; {caption}", "caption": caption}


def _scale(colour, low, high, label, ends):
    """The colours over a middle grey, as they appear on the faces."""
    levels = np.linspace(low, high, 9)[None]
    colours = colour(np.full(levels.shape, 0.55), levels)[0]
    stops = ["#" + "".join(f"{round(255 * float(part)):02x}" for part in np.clip(rgb, 0, 1)) for rgb in colours]
    return {"stops": stops, "ends": list(ends), "label": label}
