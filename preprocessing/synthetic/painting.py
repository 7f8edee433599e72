"""Paint a face from its outlines: skin and shadows, furrows, brows, eyes, nose, mouth.

A canvas is uint8 [S, S] (grey) or [S, S, 3] (RGB). Outlines are in fixed-point, as `curves.Tracing.trace` returns them.
"""

import cv2
import numpy as np

from edram_fer.preprocessing.synthetic.curves import SHIFT
from edram_fer.preprocessing.synthetic.geometry import FURROWS
from edram_fer.preprocessing.synthetic.person import Colour, Person, darker, mix

Curves = dict[str, np.ndarray]
WHITE = (250.0, 250.0, 250.0)

# Soft shadows (negative) and highlights of a face at rest, as shares of the light, painted in this order and blurred.
SHADOWS = (
    (("socketL", "socketR"), -0.11),
    (("nose_sideL", "nose_sideR"), -0.12),
    (("nose_light",), 0.11),
    (("under_nose",), -0.17),
    (("under_lip",), -0.19),
    (("chin_light",), 0.06),
)
# Lines of every face: the remaining light, of 255, and their width in face units.
CREASES = (
    (("creaseL", "creaseR"), 165, 0.022),
    (("lower_lidL", "lower_lidR"), 155, 0.02),
    (("wingL", "wingR"), 172, 0.03),
    (("nose_base",), 180, 0.025),
)
# Furrows of an old face at rest.
AGED = {"nasolabial": 0.9, "crow_high": 0.4, "forehead_low": 0.5, "pouch": 0.5}


def ink(canvas: np.ndarray, colour: Colour) -> Colour:
    """A colour in the form that OpenCV expects for this canvas; grey is the luma (ITU-R BT.601)."""
    if canvas.ndim == 3:
        return colour
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2],)


def fill(canvas: np.ndarray, polygons: list[np.ndarray], colour: Colour) -> None:
    """Fill polygons with fixed-point corners by the even-odd rule."""
    cv2.fillPoly(canvas, polygons, ink(canvas, colour), cv2.LINE_8, SHIFT)


def line(canvas: np.ndarray, curves: list[np.ndarray], colour: Colour, width: float) -> None:
    """Draw open curves, `width` pixels wide but at least one pixel."""
    cv2.polylines(canvas, curves, False, ink(canvas, colour), max(1, round(width)), cv2.LINE_8, SHIFT)


def shading(curves: Curves, light: np.ndarray, person: Person, cheek: float) -> np.ndarray:
    """Brightness of the skin: the light on the bare head with the soft shadows of its features.

    Args:
        curves: outlines in pixels of the result.
        light: float32 [s, s] on the bare head.
        person: the person, for beard and cheeks.
        cheek: how far the cheeks are raised, in [0, 1].

    Returns:
        float32 [s, s]; 1 leaves the colour of the skin unchanged.
    """
    soft = np.zeros_like(light)
    cheeks = (("hollowL", "hollowR"), -0.12 * person.traits["cheek_shade"]), (("cheekL", "cheekR"), 0.14 * cheek)
    for names, level in (*SHADOWS, *cheeks):
        cv2.fillPoly(soft, [curves[name] for name in names], level, cv2.LINE_8, SHIFT)
    if person.beard == "stubble":
        cv2.fillPoly(soft, [curves["beard"]], -0.22, cv2.LINE_8, SHIFT)
    return cv2.GaussianBlur(soft, (0, 0), 0.028 * len(soft)) + light


def creases(canvas: np.ndarray, curves: Curves, strengths: list[float], person: Person, unit: float) -> np.ndarray:
    """The light that remains on the lines of the skin: furrows, lids, wings and base of the nose.

    Args:
        canvas: only its shape and type are used.
        curves: outlines in pixels of the canvas.
        strengths: strengths of the FURROWS, in [0, 1]; age increases some of them.
        person: the person, for the age.
        unit: pixels per face unit.

    Returns:
        uint8, with the shape of the canvas; 255 where there is no line.
    """
    remaining = np.full_like(canvas, 255)
    old = max(0.0, person.traits["age"] - 0.5)
    for name, strength in zip(FURROWS, strengths):
        strength = min(1.0, strength + old * AGED.get(name[:-1], 0.0))
        if strength > 0.06:
            line(remaining, [curves[name]], (255 * (1 - 0.45 * strength),) * 3, unit * (0.02 + 0.025 * strength))
    for names, light, width in CREASES:
        line(remaining, [curves[name] for name in names], (light,) * 3, width * unit)
    return remaining


def paint_skin(canvas: np.ndarray, curves: Curves, shade: np.ndarray, lines: np.ndarray, person: Person) -> None:
    """Cover the face with skin, under the shading [s, s], enlarged to the canvas, and the lines of `creases`."""
    colour = ink(canvas, person.skin)
    skin = cv2.merge([cv2.convertScaleAbs(shade, alpha=value) for value in colour])
    # Nearest neighbour: each pixel of the final image then has one shade.
    skin = cv2.resize(skin, canvas.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    face = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(face, [curves["face"]], (255,), cv2.LINE_8, SHIFT)
    cv2.copyTo(cv2.multiply(skin, lines, scale=1 / 255), face, canvas)


def paint_beard(canvas: np.ndarray, curves: Curves, person: Person) -> None:
    """A moustache, goatee or full beard, under the lips."""
    outlines = {"moustache": ["moustache"], "goatee": ["moustache", "goatee"], "full": ["beard"]}.get(person.beard, [])
    for outline in outlines:
        fill(canvas, [curves[outline]], mix(person.hair, person.skin, 0.12))


def paint_nostrils(canvas: np.ndarray, curves: Curves, person: Person) -> None:
    """Both nostrils."""
    fill(canvas, [curves["nostrilL"], curves["nostrilR"]], darker(person.skin, 0.38))


def _paint_eyeballs(layer: np.ndarray, curves: Curves, person: Person, unit: float) -> None:
    """Whites, irises, pupils and highlights."""
    fill(layer, [curves["eyeL"], curves["eyeR"]], (232.0, 228.0, 224.0))
    full, radius = 1 << SHIFT, person.traits["iris"] * unit
    glint = int(0.35 * radius * full)
    for x, y in curves["irises"].tolist():
        cv2.circle(layer, (x, y), int(radius * full), ink(layer, person.iris), -1, cv2.LINE_8, SHIFT)
        cv2.circle(layer, (x, y), int(0.45 * radius * full), ink(layer, (10.0, 10.0, 12.0)), -1, cv2.LINE_8, SHIFT)
        spot = int(0.22 * radius * full) + 4
        cv2.circle(layer, (x - glint, y - glint), spot, ink(layer, WHITE), -1, cv2.LINE_8, SHIFT)
    line(layer, [curves["upper_lidL"], curves["upper_lidR"]], (150.0, 140.0, 138.0), 0.05 * unit)


def _paint_mouth_inside(layer: np.ndarray, curves: Curves) -> None:
    """The inside of an open mouth: tongue, lower and upper teeth on a dark ground."""
    fill(layer, [curves["lips"]], (52.0, 18.0, 22.0))
    fill(layer, [curves["tongue"]], (158.0, 74.0, 80.0))
    fill(layer, [curves["teeth_lower"]], (198.0, 192.0, 182.0))
    fill(layer, [curves["teeth_upper"]], (238.0, 234.0, 224.0))


def paint_lashes(canvas: np.ndarray, curves: Curves, person: Person, unit: float) -> None:
    """The edges of the upper lids with the lashes, over the eyeballs."""
    width = (0.02 + person.traits["lashes"]) * unit
    line(canvas, [curves["upper_lidL"], curves["upper_lidR"]], darker(person.skin, 0.2), width)


def paint_brows(canvas: np.ndarray, curves: Curves, person: Person) -> None:
    """Both brows in the colour of the hair, blended with the skin where they are thin."""
    colour = mix(person.skin, darker(person.hair, 0.75), person.traits["brow_depth"])
    fill(canvas, [curves["browL"], curves["browR"]], colour)


def paint_lips(canvas: np.ndarray, curves: Curves, person: Person) -> None:
    """Both lips, the upper one darker."""
    fill(canvas, [curves["lips"]], person.lips)
    fill(canvas, [curves["upper_lip"]], darker(person.lips, 0.82))


def paint_face(
    canvas: np.ndarray, curves: Curves, shade: np.ndarray, strengths: list[float], person: Person, unit: float
) -> None:
    """Paint the whole face on a canvas that already shows the background.

    Args:
        canvas: changed in place.
        curves: outlines in pixels of the canvas.
        shade: the result of `shading`.
        strengths: strengths of the FURROWS, in [0, 1].
        person: the person to paint.
        unit: pixels per face unit.
    """
    paint_skin(canvas, curves, shade, creases(canvas, curves, strengths, person, unit), person)
    paint_beard(canvas, curves, person)
    paint_nostrils(canvas, curves, person)
    paint_lips(canvas, curves, person)
    inside, opening = np.empty_like(canvas), np.zeros(canvas.shape[:2], np.uint8)
    _paint_eyeballs(inside, curves, person, unit)
    _paint_mouth_inside(inside, curves)
    cv2.fillPoly(opening, [curves[name] for name in ("eyeL", "eyeR", "mouth")], (255,), cv2.LINE_8, SHIFT)
    cv2.copyTo(inside, opening, canvas)
    line(canvas, [curves["lip_line"]], darker(person.lips, 0.42), 0.028 * unit)
    paint_lashes(canvas, curves, person, unit)
    paint_brows(canvas, curves, person)
