"""Reports as text for people."""

from __future__ import annotations


def prediction_table(report: dict) -> str:
    lines = [
        f"{report['windows']} windows of {report['episodes']} {report['split']} episodes, "
        f"{report['observed_frames']} frames observed, {report['imagined_frames']} imagined"
    ]
    for title, metric, digits in (
        ("PSNR [dB]", "psnr_db", 2),
        ("PSNR on moving pixels [dB]", "moving_pixels_psnr_db", 2),
        ("SSIM", "ssim", 4),
        ("LPIPS (less is better)", "lpips", 4),
        ("distance in the tokenizer's features", "feature_distance", 4),
        ("error of the hand [cm], median", "hand_error_cm_median", 2),
        ("error of the hand [cm], 90 % quantile", "hand_error_cm_worst_tenth", 2),
    ):
        if metric not in report:
            continue
        steps = list(report[metric]["model"])
        lines += ["", f"{title:40}" + "".join(f"step {step:>3}  " for step in steps)]
        for name, values in report[metric].items():
            lines.append(f"  {name:38}" + "".join(f"{values[s]:8.{digits}f}  " for s in steps))
    if "lpips" not in report:
        lines += ["", "LPIPS: no weights, see --lpips and whale_ros/evaluation/lpips.py"]
    lines += ["", "gain on moving pixels, with its 95 % interval over episodes"]
    for name, gain in report["moving_pixels_gain_db"].items():
        lines.append(
            f"  {name:38}{gain['db']:8.2f} dB at step {gain['step']} "
            f"({gain['from']:.2f} .. {gain['to']:.2f})"
        )
    return "\n".join(lines)


def behavior_table(report: dict) -> str:
    models = len(report["checkpoints"])
    lines = [f"{models} checkpoints; mean +- standard deviation over them"]
    for split in report["splits"]:
        for context in (key for key in split if key.startswith("context_of_")):
            seen = context.removeprefix("context_of_")
            lines += ["", f"{split['split']}, {split['episodes']} episodes, {seen} frames seen"]
            for title, metric, digits in (
                ("distance in the tokenizer's features", "feature_distance", 4),
                ("PSNR on moving pixels [dB]", "moving_pixels_psnr_db", 2),
                ("cross-entropy of a code [nat]", "cross_entropy_nats", 4),
            ):
                ways = split[context][metric]
                steps = ways["none"]
                lines.append(f"  {title:38}" + "".join(f"{f'step {s}':>18}" for s in steps))
                for way, values in ways.items():
                    texts = (_with_spread(v, digits) for v in values.values())
                    lines.append(f"    {'z ' + way:36}" + "".join(f"{t:>18}" for t in texts))
            for gain in split[context]["gain"]:
                lines.append(
                    f"  z {gain['of']} better than {gain['over']} at step {gain['step']} by "
                    f"{_with_spread(gain, 4)} ({gain['metric']})"
                    + (", more than the spread" if gain["more_than_spread"] else "")
                )
    lines += ["", "share of validation episodes that a linear probe tells from z"]
    kinds = report["told_from_z"][0]["behavior"]
    lines.append(f"{'':24}" + "".join(f"{kind:>22}" for kind in kinds))
    for number, told in enumerate(report["told_from_z"]):
        for label, shares in told.items():
            lines.append(
                f"  checkpoint {number}, {label:10}"
                + "".join(f"{s:22.3f}" for s in shares.values())
            )
    return "\n".join(lines)


def _with_spread(value: dict, digits: int) -> str:
    spread = "?" if value["spread"] is None else f"{value['spread']:.{digits}f}"
    return f"{value['mean']:.{digits}f} +- {spread}"
