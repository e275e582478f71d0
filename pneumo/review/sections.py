"""The parts of a review in Markdown: models, metrics, flipped decisions, changes."""

from collections.abc import Iterable, Sequence

from pneumo.data.manifest import truth
from pneumo.evaluation.metrics import WORDS
from pneumo.evaluation.recipes import POWER
from pneumo.report import markdown as md
from pneumo.review.cells import NAMED, cell, code, interval, number, p_value, prose, signed, value_of
from pneumo.review.comparison import Comparison
from pneumo.review.result import Result
from pneumo.review.rows import Row
from pneumo.verification.compare import Row as Change

FOLDED = 12  # rows of changes or flips from which on they are folded


def reproduction(result: Result, listed: int) -> list[str]:
    """Whether the pipeline, run again, gives what is committed, and the verdict by what it gave."""
    again = result.reproduction
    if again is None:
        return []
    scores, figures = (sum(row.values for row in again.rows if row.path.startswith(of)) for of in ("scores", "metrics"))
    if again.equal:
        compared = f"{scores:,} scores and logits and {figures:,} figures of {len(again.rows)} files"
        return [f"**Reproduced here**: {compared} are what the pipeline gave, to six digits.", ""]
    differ = [row for row in again.rows if not row.equal]
    moved = "" if again.difference is None else f" ({WORDS[result.rules.metric]} {signed(again.difference)})"
    cause = (
        "A processor of another make trains other last digits, and so another network; if the same make ran it before, "
        "the committed files did not come from this commit."
    )
    if again.other_digits:
        cause = (
            f"They have other last digits: {cell(again.makes or '')}. Against what is committed, what the second run "
            f"selected is {again.apart}. Both processors are as machine.json names them, which anybody can edit."
        )
    lines = [
        f"**Not reproduced here{' to the digit' if again.other_digits else ''}**: {len(differ)} of {len(again.rows)} "
        f"files differ from what the pipeline gave, and what it gave is {again.verdict}{moved}. {cause}",
        "",
    ]
    rows = [
        [
            code(row.path),
            f"{row.differ:,} of {row.values:,}" if row.values else "",
            f"{row.largest:.6g}" if row.values else "",
            cell(row.problem or ""),
        ]
        for row in differ
    ]
    header = ["file", "scores that differ", "largest difference", "reason"]
    return [*lines, *md.table(header, rows[:listed]), *rest(rows, listed), ""]


def models(result: Result, listed: int) -> list[str]:
    """A line for each model that both commits have, the selected one first."""
    metric = WORDS[result.rules.metric]
    rows = []
    for comparison in (result.selected, *result.others):
        is_selected = comparison is result.selected
        row = comparison.row(result.rules.metric)
        p = row.p if row and is_selected else result.p_corrected.get(comparison.head)
        name = f"**{named(comparison)}** (selected)" if is_selected else named(comparison)
        cells = [*_sides(row), signed(row.difference), interval(row)] if row else [""] * 4
        rows.append([name, _verdict(comparison), *cells, p_value(p)])
    header = ["model", "verdict", f"base {metric}", "head", "difference", _level(result), "p (Holm)"]
    lines = [*md.table(header, rows[:listed]), *rest(rows, listed)]
    reasons = [f"- {named(other)}: {prose(reason)}" for other in result.others for reason in other.reasons]
    if all(other.reasons == result.selected.reasons for other in result.others if other.reasons):
        reasons = []
    on_one_side = [
        f"Only in {side}: {prose(', '.join(names))}."
        for side, names in (("base", result.only_base), ("head", result.only_head))
        if names
    ]
    reasons = [*reasons[:listed], *rest(reasons, listed)]
    return [*lines, "", *reasons, *([""] if reasons else []), *on_one_side, *([""] if on_one_side else [])]


def _verdict(comparison: Comparison) -> str:
    if comparison.reasons and comparison.on_common:
        return f"{comparison.verdict} (images in common: {comparison.on_common})"
    return "same scores" if comparison.unchanged and not comparison.reasons else str(comparison.verdict)


def metrics(comparison: Comparison, result: Result) -> list[str]:
    rows = [
        [
            WORDS[row.metric],
            *_sides(row),
            signed(row.difference),
            interval(row),
            number(row.detectable),
            row.test or "",
            _p_values(row),
            "decides" if row.metric == result.rules.metric else p_value(row.p_holm),
        ]
        for row in comparison.rows
    ]
    header = ["metric", "base", "head", "difference", _level(result), "detectable", "test", "p", "p (Holm)"]
    return md.table(header, rows)


def _sides(row: Row) -> list[str]:
    """Base and head, with the standard deviation of several seeds."""
    values = zip((row.base, row.head), row.sd, strict=True)
    return [number(value) if sd is None else f"{number(value)} ± {number(sd)}" for value, sd in values]


def _p_values(row: Row) -> str:
    return p_value(row.p) if row.p_exact is None else f"{p_value(row.p)} (exact {p_value(row.p_exact)})"


def footnote(result: Result) -> str:
    selected = result.selected
    if selected.about == "recipes":
        how = (
            "Figures are means over seeds, ± their standard deviation. Intervals and p are those of Student's t, with "
            "what varies between seeds and what the patients do to all seeds of a side alike. "
        )
    else:
        how = (
            "Intervals: Student's t, with the spread from leaving out one patient at a time. Tests, with patients as "
            "units: permutation, where the models swap their scores in random patients, and McNemar's in its mid-P "
            "form; its exact form errs far less often than it may, and misses more. "
        )
    before, after = (", ".join(map(number, of)) for of in selected.thresholds or ((), ()))
    return (
        f"{how}detectable: the smallest true difference that such data show in {POWER:.0%} of cases. p (Holm) is "
        "corrected for multiple tests: in this table over the tests that do not decide, in the table of models over "
        f"the models that were not selected. Threshold: {before} in base, {after} in head."
    )


def flips(comparison: Comparison, listed: int) -> list[str]:
    of = " of most networks (with their mean scores)" if comparison.about == "recipes" else ""
    lines = [f"### Flipped decisions{of}: {flip_counts(comparison)}", ""]
    if not comparison.flips:
        return lines
    rows = [
        [
            code(flip["image"]),
            cell(flip["patient"]),
            cell(truth(flip["label"], flip["subtype"])),
            f"{flip['base']:.3f}",
            f"{flip['head']:.3f}",
            "right" if flip["right"] else "wrong",
        ]
        for flip in comparison.flips
    ]
    header = ["image", "patient", "truth", "base score", "head score", "head is"]
    first, more = rows[:FOLDED], rows[FOLDED:listed]
    lines += [*md.table(header, first), ""]
    if more:
        title = f"{len(rows) - FOLDED} more flipped decisions"
        lines += folded(title, [*md.table(header, more), "", *rest(rows, listed)])
    elif len(rows) > FOLDED:
        lines += [*rest(rows, FOLDED), ""]
    return lines


def flip_counts(comparison: Comparison) -> str:
    wrong = sum(not flip["right"] for flip in comparison.flips)
    return f"{wrong} right to wrong, {len(comparison.flips) - wrong} wrong to right, of {comparison.n} images"


def changes(result: Result, listed: int) -> list[str]:
    kinds: dict[str, tuple[list[str], list[list[str]]]] = {
        "Parameters": (["parameter", "base", "head"], [_change(row) for row in result.changes.params]),
        "Data": (["metrics/data.json", "base", "head"], [_change(row) for row in result.changes.data]),
        "Pipeline": (["dvc.yaml", "base", "head"], [_change(row) for row in result.changes.pipeline]),
        "Code": (["file", "change", "stages that depend on it"], [_file(row) for row in result.changes.code]),
        "Libraries": (["requirements.lock", "base", "head"], [_change(row) for row in result.changes.libraries]),
    }
    unchanged = [kind.lower() for kind, (_, rows) in kinds.items() if not rows]
    lines = [f"Unchanged: {', '.join(unchanged)}.", ""] if unchanged else []
    for kind, (header, rows) in kinds.items():
        if rows:
            shown = [*md.table(header, rows[:listed]), *rest(rows, listed)]
            lines += [*shown, ""] if len(rows) <= FOLDED else folded(f"{kind}: {len(rows)} differences", shown)
    return lines


def _change(row: Change) -> list[str]:
    key, base, head = row
    if isinstance(base, list) and isinstance(head, list):  # of a long list only what it lost and gained
        lost, gained = [item for item in base if item not in head], [item for item in head if item not in base]
        if lost or gained:
            return [code(key), f"{value_of(lost)} of {len(base)}", f"{value_of(gained)} of {len(head)}"]
    return [code(key), value_of(base), value_of(head)]


def _file(row: Change) -> list[str]:
    path, became, stages = row
    more = f" and {len(stages) - NAMED} more" if len(stages) > NAMED else ""
    return [code(path), became, cell(", ".join(stages[:NAMED])) + more or "none"]


def folded(title: str, lines: Iterable[str]) -> list[str]:
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>", ""]


def named(comparison: Comparison) -> str:
    return cell(comparison.head if comparison.base == comparison.head else f"{comparison.base} → {comparison.head}")


def rest(rows: Sequence[object], listed: int) -> list[str]:
    """A line that says how many of `rows` were left out after `listed` of them."""
    return ["", f"{len(rows) - listed} more: `--format json` has all."] if len(rows) > listed else []


def _level(result: Result) -> str:
    return f"{100 * (1 - result.rules.alpha):g} % interval"
