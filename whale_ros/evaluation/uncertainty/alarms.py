"""Would an alarm have come before an episode failed, and how long before?"""

from __future__ import annotations

import numpy as np

from whale_ros.evaluation.rounding import rounded
from whale_ros.evaluation.uncertainty.estimates import DIGITS, SCORE_DIGITS, estimate
from whale_ros.evaluation.uncertainty.metrics import auroc, threshold, true_alarms, untrusted
from whale_ros.evaluation.uncertainty.trials import NOMINAL, Trials


def foretold_failures(trials: Trials, score: np.ndarray) -> dict:
    """Of episodes, each judged by the score (W,) of its worst window.

    The alarm threshold is one for all tasks: at most FALSE_ALARMS of the nominal episodes that
    succeed exceed it. Lead is from the first alarm of an episode that fails to its end.
    """
    first, run = trials.runs()
    episodes = trials.select(first)
    worst = np.full(len(first), -np.inf)
    np.maximum.at(worst, run, untrusted(score))
    calm = (episodes.condition == NOMINAL) & ~episodes.failed
    bound = threshold(worst[calm])
    left = np.full(len(first), -np.inf)
    alarm = untrusted(score) > bound
    np.maximum.at(left, run[alarm], trials.seconds_left[alarm])
    leads = left[episodes.failed & (left >= 0)]
    judged = calm | episodes.failed
    return {
        "failures": int(episodes.failed.sum()),
        "successes": int((~episodes.failed).sum()),
        "auroc": estimate(auroc, (worst, episodes.failed), episodes),
        "true_alarms": estimate(true_alarms, (worst, episodes.failed), episodes),
        "threshold": rounded(bound, SCORE_DIGITS),
        "alarmed": estimate(
            true_alarms,
            (worst[judged], episodes.failed[judged]),
            episodes.select(judged),
            pooled=True,
        ),
        "median_lead_s": rounded(float(np.median(leads)), 2) if len(leads) else None,
        "successes_alarmed": _share(worst[~episodes.failed] > bound),
    }


def _share(mask: np.ndarray) -> float | None:
    return rounded(float(mask.mean()), DIGITS) if len(mask) else None
