"""Linear mixed models of where people look, by emotion and region (extra `statistics`: statsmodels)."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from edram_fer.errors import MissingPackageError, UserError

INSTALL = 'mixed models need the package statsmodels: pip install "edram-fer[statistics]"'


def fit_shares(
    table: pd.DataFrame, *, emotion: str | None = None, regions: Sequence[str] | None = None, value: str = "share"
) -> pd.DataFrame:
    """Fit value ~ emotion * region, with a random effect of each region of each observer.

    Observers differ in how much they look at each region whatever the emotion (some always look at the eyes). The
    random effect takes this up; a test of the emotions without it would take all rows for independent. The shares of
    all regions sum to 1, so leave one region out.

    Args:
        table: one row per observer, emotion and region, or more, with the columns "subject", "emotion", "region" and
            `value`.
        emotion: the reference that the other emotions are compared with; None: the first in the table.
        regions: the regions to use; None: all but "rest".
        value: column of the dependent variable.

    Returns:
        For each region and each emotion but the reference: "region", "emotion", "effect" (difference from the
        reference), "low" and "high" (its 95 % interval, Wald), "z" and "p"; REML estimates.

    Raises:
        MissingPackageError: the extra `statistics` is not installed.
        UserError: there are fewer than two observers, emotions or regions, or the model cannot be fitted.
    """
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM
        from statsmodels.tools.sm_exceptions import ConvergenceWarning
    except ImportError as error:
        raise MissingPackageError(INSTALL) from error
    names = list(dict.fromkeys(table["region"])) if regions is None else list(regions)
    names = [name for name in names if regions is not None or name != "rest"]
    table = table[table["region"].isin(names) & table[value].notna()]
    emotions = list(dict.fromkeys(table["emotion"]))
    reference = emotions[0] if emotion is None and emotions else emotion
    if reference not in emotions:
        raise UserError(f"emotion: expected one of {', '.join(emotions)}, got {emotion!r}")
    others = [name for name in emotions if name != reference]
    if not others or len(names) < 2 or table["subject"].nunique() < 2:
        raise UserError(
            f"expected at least two observers, emotions and regions, got {table['subject'].nunique()}, "
            f"{len(emotions)} and {len(names)}"
        )
    region = table["region"].to_numpy(object)
    cells = [(name, other) for name in names for other in others]
    columns = [region == name for name in names]
    columns += [(region == name) & (table["emotion"].to_numpy(object) == other) for name, other in cells]
    design = np.stack(columns, axis=1).astype(float)
    groups = pd.factorize(table["subject"].astype(str) + "\n" + table["region"].astype(str))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a variance of 0 is on the boundary
        try:
            fitted = MixedLM(table[value].to_numpy(float), design, groups).fit(reml=True)
        except np.linalg.LinAlgError as error:
            raise UserError(f"the mixed model cannot be fitted: {error}") from error
    rows, half = [], norm.ppf(0.975)
    for number, (name, other) in enumerate(cells, start=len(names)):
        effect, error = float(fitted.fe_params[number]), float(fitted.bse_fe[number])
        z = effect / error if error else np.nan
        rows.append(
            {
                "region": name,
                "emotion": other,
                "effect": effect,
                "low": effect - half * error,
                "high": effect + half * error,
                "z": z,
                "p": float(2 * norm.sf(abs(z))),
            }
        )
    return pd.DataFrame(rows)
