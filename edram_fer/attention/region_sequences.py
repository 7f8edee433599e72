"""The order in which people look at the regions of a face: dwell, entry times, first fixations, transitions, entropy.

All functions take a table with a row per fixation: "subject", "image", "duration" and "region" (a name of
`regions.REGIONS`), and optionally "timestamp", the start in ms. The fixations of a subject on an image are in time
order. Results are pandas DataFrames.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from edram_fer.attention.regions import REGIONS
from edram_fer.errors import UserError

COLUMNS = ("subject", "image", "duration", "region")


def viewings(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each viewing, that is each subject and image.

    Args:
        table: see above; further columns, such as "emotion", are taken from a viewing's first row.

    Returns:
        The columns "subject", "image", the further columns, "fixations" (their number), "first" and "second" (the
        regions of the first two fixations; the first often began before the face appeared, on a fixation cross), and
        for each region "dwell REGION", its share of the duration, "count REGION", its share of the fixations, and
        "entry REGION", ms from the start of the first fixation to that of the first one in the region, nan if there is
        none. Without time stamps the durations of the fixations before are added, without the saccades between them.

    Raises:
        UserError: a column is missing, or a region is none of REGIONS.
    """
    _check(table)
    further = [name for name in table.columns if name not in {*COLUMNS, "timestamp", "start_x", "start_y", "x", "y"}]
    rows = []
    for (subject, image), part in table.groupby(["subject", "image"], sort=False):
        durations, region = part["duration"].to_numpy(float), part["region"].to_numpy(object)
        starts = np.cumsum(durations) - durations
        if "timestamp" in part and part["timestamp"].notna().all():
            starts = part["timestamp"].to_numpy(float) - part["timestamp"].iloc[0]
        row = {"subject": subject, "image": image, **part.iloc[0][further].to_dict(), "fixations": len(part)}
        row |= {"first": region[0], "second": region[1] if len(region) > 1 else None}
        for name in REGIONS:
            inside = region == name
            row[f"dwell {name}"] = durations[inside].sum() / durations.sum() if durations.sum() else np.nan
            row[f"count {name}"] = inside.mean()
            row[f"entry {name}"] = starts[inside][0] if inside.any() else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def transitions(table: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """How often a fixation in one region was followed by one in another, or in the same, in the same viewing.

    Args:
        table: see above.
        by: columns whose values are counted apart, such as ("emotion", "subject").

    Returns:
        The columns of `by`, "from", "to" (all pairs of regions) and "count".
    """
    _check(table)
    following = table.groupby(["subject", "image"], sort=False)["region"].shift(-1)
    followed = following.notna()
    pairs = table.loc[followed, [*by]].assign(**{"from": table.loc[followed, "region"], "to": following[followed]})
    groups = [list(dict.fromkeys(table[name])) for name in by]
    index = pd.MultiIndex.from_product([*groups, REGIONS, REGIONS], names=[*by, "from", "to"])
    counts = pairs.groupby([*by, "from", "to"]).size().reindex(index, fill_value=0)
    return counts.rename("count").reset_index()


def transition_matrix(counts: ArrayLike) -> np.ndarray:
    """Counts [..., R, R] as probabilities of the next region given the present one; nan in the rows of regions that
    nobody left.

    >>> transition_matrix([[1, 3], [0, 0]]).tolist()
    [[0.25, 0.75], [nan, nan]]
    """
    counts = np.asarray(counts, float)
    sums = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, sums, out=np.full_like(counts, np.nan), where=sums > 0)


def entropy(counts: ArrayLike) -> tuple[float, float]:
    """Entropy of a scan path over regions (Krejtz et al. 2014, ETRA 2014:159), in bits.

    Args:
        counts: [R, R] transitions from row to column. Few counts bias both values downwards.

    Returns:
        Of the regions, -sum p log2 p, between 0 (one region) and log2 R (all alike); and of the transitions given the
        region, -sum p_i sum p_ij log2 p_ij, 0 if each region is always followed by the same one. p_i is the share of
        the transitions that leave region i. nan without transitions.

    >>> entropy([[0, 2], [2, 0]])
    (1.0, 0.0)
    """
    counts = np.asarray(counts, float)
    if not counts.sum() > 0:
        return np.nan, np.nan
    shares = counts.sum(axis=1) / counts.sum()
    rows = np.nan_to_num(transition_matrix(counts))
    return _entropy(shares), float(sum(share * _entropy(row) for share, row in zip(shares, rows, strict=True)))


def _entropy(shares):
    positive = shares[shares > 0]
    return float(-(positive * np.log2(positive)).sum()) + 0.0


def _check(table):
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise UserError(f"expected a table with the columns {', '.join(COLUMNS)}; {', '.join(missing)} missing")
    if strange := set(table["region"]) - set(REGIONS):
        raise UserError(f"region: expected one of {', '.join(REGIONS)}, got {sorted(map(str, strange))[0]!r}")
