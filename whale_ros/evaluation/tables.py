"""Reports as text for people."""

from __future__ import annotations

JUDGED_STEP, CLEAR_DB = "8", 1.0


def prediction_table(report: dict) -> str:
    lines = [
        f"{report['windows']} windows of {report['episodes']} {report['split']} episodes, "
        f"{report['observed_frames']} frames observed, {report['imagined_frames']} imagined"
    ]
    if "data" in report:  # in a checkpoint's card it stands beside the report
        lines.append(_data(report["data"]))
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
            lines.append(
                f"  {name:38}" + "".join(f"{_text(values[s], digits):>8}  " for s in steps)
            )
    if "lpips" not in report:
        lines += ["", "LPIPS: no weights, see --lpips and whale_ros/evaluation/lpips.py"]
    lines += ["", "gain on moving pixels, with its 95 % interval over episodes"]
    for name, gain in report["moving_pixels_gain_db"].items():
        lines.append(
            f"  {name:38}{_text(gain['db'], 2):>8} dB at step {gain['step']} "
            f"({_text(gain['from'], 2)} .. {_text(gain['to'], 2)})"
        )
    return "\n".join(lines)


def finetuning_table(before: dict, report: dict) -> str:
    """A prediction report after fine-tuning, and PSNRs on moving pixels before, by way and step."""
    after = report["moving_pixels_psnr_db"]
    lines = [
        f"{report['windows']} windows of {report['episodes']} demonstrations that were not learnt "
        "from: PSNR on moving pixels [dB]",
        _row("", [f"step {step}" for step in after["model"]]),
    ]
    no_other = dict.fromkeys(after["model"])  # of a single demonstration
    for title, numbers in (
        ("imagined by the base", before["model"]),
        ("imagined after fine-tuning", after["model"]),
        (
            "with the actions of another episode",
            after["shuffled"] if report["episodes"] > 1 else no_other,
        ),
        ("copy of the last frame", after["copy"]),
        ("the base's tokenizer", before["ceiling"]),
        ("the tokenizer after fine-tuning", after["ceiling"]),
    ):
        lines.append(_row(f"  {title}", [_text(number, 2) for number in numbers.values()]))
    return "\n".join(lines)


def finetuning_verdict(before: dict, report: dict) -> str:
    """Whether the model foretells the demonstrations clearly better than what knows less of them.

    As `finetuning_table`. What is clear is a rule of thumb: the windows are few.
    """
    after = {way: psnr[JUDGED_STEP] for way, psnr in report["moving_pixels_psnr_db"].items()}
    rivals = {"the base": before["model"][JUDGED_STEP], "the copy": after["copy"]}
    if report["episodes"] > 1:
        rivals["other actions"] = after["shuffled"]
    if None in (after["model"], *rivals.values()):
        return "nothing moves in what is held out, so it tells nothing: record more demonstrations"
    gains = {name: after["model"] - psnr for name, psnr in rivals.items()}
    told = f"step {JUDGED_STEP}: "
    told += ", ".join(f"{gain:+.1f} dB against {name}" for name, gain in gains.items())
    weak = [name for name, gain in gains.items() if gain < CLEAR_DB]
    if not weak:
        return f"{told}: clearly better"
    return (
        f"{told}: not clearly better (by {CLEAR_DB:g} dB) than {' and '.join(weak)}; look at "
        "before_and_after.png, and better record more demonstrations"
    )


def behavior_table(report: dict) -> str:
    models = len(report["checkpoints"])
    lines = [f"checkpoints: {models}"]
    if models > 1:
        lines[0] += ", mean +- standard deviation over them"
    lines.append(_data(report["data"]))
    metrics = (
        ("distance in the tokenizer's features", "feature_distance", 4),
        ("PSNR on moving pixels [dB]", "moving_pixels_psnr_db", 2),
        ("cross-entropy of a code [nat]", "cross_entropy_nats", 4),
    )
    for split in report["splits"]:
        for context in (key for key in split if key.startswith("context_of_")):
            seen = context.removeprefix("context_of_")
            lines += ["", f"{split['split']}, {split['episodes']} episodes, {seen} frames seen"]
            for title, metric, digits in metrics:
                ways = split[context][metric]
                lines.append(_row(f"  {title}", [f"step {step}" for step in ways["none"]]))
                for way, values in ways.items():
                    texts = [_with_spread(value, digits) for value in values.values()]
                    lines.append(_row(f"    z {way}", texts))
            gains = split[context]["gain"]
            lines.append(f"  better at step {gains[0]['step']} (*: by more than the spread)")
            for title, metric, digits in metrics:
                lines.append(f"    in {title}")
                for gain in (gain for gain in gains if gain["metric"] == metric):
                    mark = " *" if gain["more_than_spread"] else ""
                    each = ", ".join(
                        f"{_text(low, digits)} .. {_text(high, digits)}"
                        for _, low, high in gain["of_each_with_95_percent_interval"]
                    )
                    lines.append(
                        f"      z {gain['of']} than {gain['over']} by {_with_spread(gain, digits)}"
                        f"{mark}  (95 % over episodes: {each})"
                    )
    lines += [
        "",
        "share of validation episodes that a linear probe tells from z, "
        f"read from {report['probed_frames']} frames",
    ]
    lines.append(_row("", list(report["told_from_z"][0]["behavior"])))
    for number, told in enumerate(report["told_from_z"]):
        for label, shares in told.items():
            texts = [f"{share:.3f}" for share in shares.values()]
            lines.append(_row(f"  checkpoint {number}, {label}", texts))
    return "\n".join(lines)


def calibration_table(report: dict) -> str:
    nominal = (
        f"{report['episodes']} nominal episodes ({', '.join(report['behaviors'])}), "
        f"alpha {report['alpha']:g}"
    )
    if report["failed"]:
        nominal += f" ({report['failed']} of them never came to success: are they nominal?)"
    if report["factor"] is None:
        return f"{nominal}; the gate stays closed: {report['why_unbounded']}"
    lines = [f"{nominal}: every threshold is {report['factor']:.3f} times its scale, for all tasks"]
    lines += [
        f"  {name.replace('_', ' ')}: {report['factor'] * scale:.4g}"
        for name, scale in report["scales"].items()
    ]
    if "nominal_coverage" not in report:
        return "\n".join(lines) + "\n(tried on no other episodes, for there is no split for that)"
    percent = f"{100 * report['confidence']:g} %"
    for title, way in (
        ("one factor for all tasks", "one_factor_for_all_tasks"),
        ("a factor for each task", "a_factor_for_each_task"),
    ):
        lines += ["", _row(title, ["factor", "episodes", "without alarm", "alarms an hour"])]
        for group, row in report[way].items():
            without = f"{100 * row['share']:.1f} ({100 * row['from']:.1f}..{100 * row['to']:.1f}) %"
            texts = [_text(row["factor"], 3), str(row["episodes"]), without]
            lines.append(_row(f"  {group}", [*texts, _text(row["alarms_per_hour"], 1)]))
    wrong = report["passed_although_wrong"]
    bad, failed = wrong["predictions"], wrong["episodes"]
    lines += [
        f"(without alarm: promised {100 * report['nominal_coverage']:g} %, the {percent} interval)",
        "",
        f"predictions off by more than {wrong['bad_if_feature_distance_over']:g} in features: "
        f"{bad['bad']} of {bad['of']}, {bad['passed']} of them passed; of "
        f"{bad['episodes_with_a_bad_one']} episodes with one, in "
        f"{bad['episodes_in_which_one_passed']} one passed (at most {_text(bad['at_most'], 3)})",
        f"failed episodes of {', '.join(wrong['failed_episodes_of'])}: {failed['failed']}, "
        f"{failed['passed']} passed without an alarm (at most {_text(failed['at_most'], 3)})",
        f"(at most: {percent} upper bounds)",
    ]
    return "\n".join(lines)


def _data(data: dict) -> str:
    known = "that" if data["is_that_of_the_checkpoints"] else "NOT that"
    return f"data set {data['manifest_sha256'][:12]}, {known} of the checkpoint's training"


def _row(title: str, texts: list[str]) -> str:
    return f"{title:40}" + "".join(f"{text:>20}" for text in texts)


def _with_spread(value: dict, digits: int) -> str:
    spread = "" if value["spread"] is None else f" +- {value['spread']:.{digits}f}"
    return f"{_text(value['mean'], digits)}{spread}"


def _text(number: float | None, digits: int) -> str:
    return "-" if number is None else f"{number:.{digits}f}"
