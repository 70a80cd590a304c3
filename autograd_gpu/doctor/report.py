"""The report: what was seen and what is wrong, as plain data, as a table in the terminal and as a plot in a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from .diagnose import Finding, findings_of, summary
from .record import Record

COLUMNS = ("layer", "gradient", "update/weight", "mean", "std", "saturated", "zero", "dead")


class Report:
    """What `Watch.report()` gives. Printing it prints the tables.

    record     all that was collected (record.Record)
    layers     a dict of numbers for each layer, each the median over the steps that were looked at, None where not known
    findings   what is wrong (diagnose.Finding), causes first
    """

    def __init__(self, record: Record):
        self.record = record
        self.findings: list[Finding] = findings_of(record)
        self.layers: list[dict[str, Any]] = [_row(layer) for layer in record.layers]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """The report as dicts, lists, numbers and strings."""
        findings = [
            {"kind": f.kind, "layer": f.layer, "evidence": f.evidence, "remedy": f.remedy, "advice": f.advice}
            for f in self.findings
        ]
        return {"steps": self.record.steps, "layers": self.layers, "findings": findings}

    def __repr__(self) -> str:
        return f"<Report of {self.record.steps} steps: {', '.join(f.kind for f in self.findings) or 'healthy'}>"

    def __str__(self) -> str:
        """The tables, drawn by rich where it is installed."""
        numbers = [[_text(row[c]) for c in COLUMNS] for row in self.layers]
        wrong = [[f.kind, f.layer or "-", _evidence(f), f"{f.remedy}: {f.advice}"] for f in self.findings]
        tables = [(f"{self.record.steps} steps", COLUMNS, numbers)]
        if wrong:
            tables.append(("findings", ("kind", "layer", "evidence", "remedy"), wrong))
        try:
            drawn = _drawn(tables)
        except ImportError:
            drawn = "\n\n".join(_plain(*table) for table in tables)
        if wrong:
            return drawn
        return f"{drawn}\n" + ("Nothing is wrong." if self.record.steps else "Nothing was seen: there was no backward yet.")

    def plot(self, path: str | Path) -> Path:
        """Draw gradients, updates, outputs and idle shares by layer into a picture file. Needs matplotlib (the extra `viz`)."""
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("Report.plot needs matplotlib, which is not installed: pip install 'autograd_gpu[viz]'") from error
        names = [row["layer"] for row in self.layers]
        places = range(len(names))
        figure = Figure(figsize=(max(6.0, 2 + 0.35 * len(names)) * 1.6, 7), layout="constrained")
        panels = (
            ("gradient", "gradient, root mean square", True, ("gradient",)),
            ("update/weight", "update over weight, in norm", True, ("update/weight",)),
            ("std", "outputs", False, ("mean", "std")),
            ("dead", "share of activations or units", False, ("saturated", "zero", "dead")),
        )
        sick = {f.layer: f.kind for f in reversed(self.findings)}
        for axes, (_, title, logarithmic, columns) in zip(figure.subplots(2, 2).ravel(), panels, strict=True):
            for column in columns:
                values = [float("nan") if row[column] is None else row[column] for row in self.layers]
                axes.plot(places, [v or float("nan") for v in values] if logarithmic else values, marker="o", label=column)
            if logarithmic and any(row[columns[0]] for row in self.layers):
                axes.set_yscale("log")
            for i, name in enumerate(names):
                if name in sick:
                    axes.axvspan(i - 0.4, i + 0.4, color="tab:red", alpha=0.12, linewidth=0)
            axes.set_title(title)
            axes.set_xticks(list(places), names, rotation=90 if len(names) > 6 else 0, fontsize=8)
            if len(columns) > 1:
                axes.legend(fontsize=8)
        figure.suptitle("; ".join(f"{f.kind} {f.layer}".strip() for f in self.findings[:6]) or "nothing is wrong", fontsize=10)
        path = Path(path)
        figure.savefig(path, dpi=110)
        return path


def _row(layer: Any) -> dict[str, Any]:
    s = summary(layer)
    kind = f"{layer.kind} {layer.activation}" if layer.activation and layer.size else layer.kind
    dies = layer.dead is not None
    return {
        "layer": layer.name,
        "kind": kind,
        "gradient": s.gradient,
        "update/weight": s.update,
        "mean": s.mean,
        "std": s.std,
        "saturated": None if dies else s.idle,
        "zero": s.idle if dies else None,
        "dead": layer.dead,
    }


def _text(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.2g}"


def _evidence(finding: Finding) -> str:
    return ", ".join(f"{name} {_text(v) if isinstance(v, float) else v}" for name, v in finding.evidence.items())


def _drawn(tables: list[tuple]) -> str:
    from rich.console import Console
    from rich.table import Table

    console = Console(file=io.StringIO(), width=140, color_system=None)
    for title, columns, rows in tables:
        table = Table(title=title, title_justify="left")
        for i, column in enumerate(columns):
            table.add_column(column, justify="left" if i == 0 or title == "findings" else "right", overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    return console.file.getvalue().rstrip()


def _plain(title: str, columns: tuple, rows: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in [columns, *rows]) for i in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in [columns, *rows]]
    return "\n".join([title, *lines])
