"""The genuine images and fixations, in `shared` beside the checkout or in EDRAM_FER_SHARED; tests skip without them."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("EDRAM_FER_SHARED", Path(__file__).resolve().parents[3] / "shared"))
FER2013, PHOTOS, FIXATIONS = (SHARED / "data" / name for name in ("fer2013", "photos", "fixations"))


def _needs(folder, content):
    return pytest.mark.skipif(not folder.is_dir(), reason=f"no genuine {content} in {folder} (EDRAM_FER_SHARED)")


needs_fer2013, needs_photos = _needs(FER2013, "FER2013 and FERPlus"), _needs(PHOTOS, "photos")
needs_fixations = _needs(FIXATIONS, "fixations")
