"""The audit's numbers as sentences for people, flagged where somebody should look."""

from collections.abc import Mapping
from typing import Any

from pneumo.preprocessing.views import UNKNOWN

# ROC AUC on test that a classifier without the lungs must not exceed with confidence. At 0.7 it picks the image with
# pneumonia, of a pair of each class, seven times out of ten.
SHORTCUT_AUC = 0.7
# ROC AUC of telling test from train, and by how much it must exceed telling val from train. The phantoms, drawn alike
# for all splits, have 0.56 at most, by chance (six seeds). With 40 normal test images its standard error is about 0.05.
SEPARABLE_AUC, SEPARABLE_MARGIN = 0.6, 0.1
# Share of images with a suspected label; more than are listed where no label is wrong: 0 to 4 of 400 phantoms (five
# seeds). Of the real images 0.7 % are listed; with 1 % of their labels swapped, 1.8 %.
SUSPECTED = 0.01

# Shares of pneumonia that differ by more: a network that knows the site and nothing else then has a ROC AUC of 0.6 and
# more where two sites are alike in size.
UNLIKE = 0.2

# A film of 8 bits, resized, has well over a hundred grey values. Fewer are left where it was stretched from few, or
# where deeper values were scaled from too large a range.
FEW_LEVELS = 64

Finding = dict[str, Any]


def findings(summary: Mapping[str, Any]) -> list[Finding]:
    """`check`, `flag` and `finding`, a sentence, for each check. `summary`: what metrics/data.json says."""
    audit = summary["audit"]
    return [
        *_copies(summary["exact_duplicates"]),
        *_near_duplicates(audit["near_duplicates"]),
        _patient_rule(audit["patient_rule"]),
        _unknown_patients(summary),
        _no_patients(summary),
        _left_out(summary["left_out"]),
        _unreadable(summary),
        _set_aside(summary["set_aside"]),
        _views(summary["views"]),
        *_sites(summary["sites"]),
        _body_parts(summary["other_body_parts"]),
        _few_grey_levels(audit["few_grey_levels"], summary["images"]),
        _shortcut(audit["shortcut"]),
        *(_shift(name, roc_auc) for name, roc_auc in audit["shift"]["separability"].items()),
        _suspected(audit["suspected_labels"], summary["images"]),
    ]


def _finding(check: str, flag: bool, finding: str) -> Finding:
    return {"check": check, "flag": flag, "finding": finding}


def _copies(counts: Mapping[str, int]) -> list[Finding]:
    return [
        _finding(
            f"copies across {plural}",
            counts[f"groups_across_{plural}"] > 0,
            f"{counts[f'groups_across_{plural}']} of {counts['groups']} groups of identical images are in more than "
            f"one {singular}.",
        )
        for plural, singular in (("splits", "split"), ("classes", "class"), ("patients", "patient"))
    ]


def _near_duplicates(counts: Mapping[str, Any]) -> list[Finding]:
    return [
        _finding(
            f"near duplicates across {word}",
            counts[f"pairs_across_{word}"] > 0,
            f"{counts[f'pairs_across_{word}']} of {counts['pairs']} pairs of nearly identical images are in two "
            f"{word}.",
        )
        for word in ("splits", "classes", "patients")
    ]


def _patient_rule(counts: Mapping[str, Mapping[str, int]]) -> Finding:
    used, coarsest = counts["as used"], counts["both dropped"]
    crossing = used["patients_in_test_and_outside"] + used["patients_in_train_and_val"]
    return _finding(
        "patient rule",
        crossing > 0,
        f"{crossing} of {used['patients']} patients are in more than one split; if the numbers of file names were "
        f"shared by bacteria, virus and both kinds of normal, {coarsest['patients_in_test_and_outside']} of "
        f"{coarsest['patients']} would be in the test part and outside it.",
    )


def _unknown_patients(summary: Mapping[str, Any]) -> Finding:
    return _finding(
        "patients' names",
        summary["unknown_patients"] > 0,
        f"{summary['unknown_patients']} of {summary['patients']} patients are not known from a file name or a table: "
        "each such image counts as a patient of its own, whoever it is of.",
    )


def _no_patients(summary: Mapping[str, Any]) -> Finding:
    count = summary["images_without_patients"]
    return _finding(
        "patients",
        count > 0,
        f"{count} of {summary['images']} images come from a source that knows no patients"
        + (
            ", so each counts as a patient of its own: images of one person may be in train and in test, the results "
            "too good and the intervals too narrow."
            if count
            else "."
        ),
    )


def _unreadable(summary: Mapping[str, Any]) -> Finding:
    opened = summary["images"] + summary["rejected"]
    return _finding(
        "unreadable files",
        summary["rejected"] > 0,
        f"{summary['rejected']} of {opened} files cannot be read: data/processed/rejected.csv.",
    )


def _set_aside(counts: Mapping[str, Any]) -> Finding:
    """By what was asked for, so that it is said and not flagged."""
    return _finding("set aside", False, f"{counts['images']} set aside{_by_reason(counts['reasons'])}.")


def _views(views: Mapping[str, int]) -> Finding:
    unknown, known = views.get(UNKNOWN, 0), ", ".join(f"{n} {view}" for view, n in views.items() if view != UNKNOWN)
    text = f"{unknown} of {sum(views.values())} films do not say their view and were taken as frontal" if views else ""
    return _finding("views", unknown > 0, f"{text}; {known or 'none'} do." if views else "The data say no views.")


def _sites(sites: Mapping[str, Mapping[str, int]]) -> list[Finding]:
    """Where they differ in how many have pneumonia, telling the site apart tells something of the label."""
    if len(sites) < 2:
        return []
    shares = {name: counts["pneumonia"] / counts["images"] for name, counts in sites.items()}
    each = ", ".join(f"{name} {shares[name]:.0%} of {sites[name]['images']} images" for name in sorted(shares))
    return [_finding("sites", max(shares.values()) - min(shares.values()) > UNLIKE, f"Pneumonia by site: {each}.")]


def _body_parts(parts: Mapping[str, int]) -> Finding:
    total, which = sum(parts.values()), ", ".join(f"{n} {part}" for part, n in parts.items())
    return _finding(
        "body parts",
        total > 0,
        f"{total} films say that they are of another body part than the chest{f' ({which})' if which else ''}; they "
        "were used: audit.exclude leaves them out.",
    )


def _by_reason(reasons: Mapping[str, int]) -> str:
    return f": {'; '.join(f'{count} {reason}' for reason, count in reasons.items())}" if reasons else ""


def _left_out(files: Mapping[str, Any]) -> Finding:
    example = f", such as {files['first'][0]}" if files["first"] else ""
    return _finding(
        "files left out", files["files"] > 0, f"{files['files']} left out{_by_reason(files['reasons'])}{example}."
    )


def _few_grey_levels(counts: Mapping[str, Any], images: int) -> Finding:
    example = f", such as {counts['first'][0]}" if counts["first"] else ""
    return _finding(
        "grey levels",
        counts["images"] > 0,
        f"{counts['images']} of {images} images have fewer than {FEW_LEVELS} grey levels{example}.",
    )


def _shortcut(baseline: Mapping[str, Any]) -> Finding:
    low, high = baseline["roc_auc_ci95"]
    interval = "no interval" if low is None else f"95 % interval {low:.3f} to {high:.3f}"
    return _finding(
        "shortcut",
        baseline["roc_auc"] > SHORTCUT_AUC if low is None else low > SHORTCUT_AUC,
        f"Without looking at the lungs, ROC AUC on test is {baseline['roc_auc']:.3f} ({interval}) and accuracy "
        f"{baseline['accuracy']:.3f}; the strongest features are {', '.join(baseline['strongest'])}.",
    )


def _shift(name: str, roc_auc: Mapping[str, float | None]) -> Finding:
    test, control = roc_auc["test_train"], roc_auc["val_train"]
    if test is None:
        return _finding(f"shift of {name}", False, f"Too few {name} patients to compare the test part with train.")
    return _finding(
        f"shift of {name}",
        test > SEPARABLE_AUC and (control is None or test > control + SEPARABLE_MARGIN),
        f"Borders, exposure and file alone tell {name} test images from train images with ROC AUC {test:.3f}"
        + ("." if control is None else f"; val from train, which differ by chance only, with {control:.3f}."),
    )


def _suspected(counts: Mapping[str, Any], images: int) -> Finding:
    return _finding(
        "suspected labels",
        counts["images"] > SUSPECTED * images,
        f"{counts['images']} of {images} labels look wrong ({counts['normal']} normal, {counts['pneumonia']} "
        f"pneumonia; {counts['in_test']} in the test part): scores/suspected_labels.csv.",
    )
