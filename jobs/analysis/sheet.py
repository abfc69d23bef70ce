"""A day sheet as PDF: plain tables, black on white, with a font that knows most names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fpdf import FPDF
from fpdf.enums import TableBordersLayout
from fpdf.fonts import FontFace

# DejaVu Sans, where Debian and Raspberry Pi OS keep it (package fonts-dejavu-core).
_FOLDERS: Final = (Path("/usr/share/fonts/truetype/dejavu"), Path("/usr/share/fonts/dejavu"))
_PLAIN, _BOLD = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"
_WIDTHS: Final = (30, 40, 110)
_LONGEST: Final = 300


class _Sheet(FPDF):
    """A4 with page numbers; `sheet_font` is set by whoever makes it."""

    sheet_font = "helvetica"
    foot = ""

    def footer(self) -> None:
        """Write when it was made, and which page it is."""
        self.set_y(-12)
        self.set_font(self.sheet_font, size=8)
        self.cell(0, 6, f"{self.foot} · {self.page_no()}/{{nb}}", align="C")


def write_sheet(wish: Mapping[str, object], target: Path) -> None:
    """Write a sheet of titled tables.

    :param wish: `title`, `day`, `made`, `duty`, and `parts` of `title`, `rows` (three texts each)
        and `empty`.
    """
    pdf = _Sheet(format="A4")
    folder = next((one for one in _FOLDERS if (one / _PLAIN).is_file()), None)
    if folder is not None:
        pdf.add_font("sheet", "", folder / _PLAIN)
        pdf.add_font("sheet", "B", folder / _BOLD)
        pdf.sheet_font = "sheet"

    def fit(text: object) -> str:
        said = " ".join(str(text).split())[:_LONGEST]
        # The fonts that every PDF reader has know Western letters only.
        return said if folder is not None else said.encode("latin-1", "replace").decode("latin-1")

    pdf.foot = fit(wish["made"])
    pdf.set_auto_page_break(auto=True, margin=16)
    pdf.add_page()
    pdf.set_title(fit(wish["title"]))
    pdf.set_font(pdf.sheet_font, "B", 18)
    pdf.cell(0, 10, f"{fit(wish['title'])} · {fit(wish['day'])}", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font(pdf.sheet_font, size=10)
    pdf.cell(0, 8, f"{fit(wish['duty'])} " + "_" * 50, new_x="LMARGIN", new_y="NEXT")
    parts = wish["parts"]
    assert isinstance(parts, list)
    for part in parts:
        if pdf.get_y() > pdf.h - 40:
            pdf.add_page()
        pdf.ln(2)
        pdf.set_font(pdf.sheet_font, "B", 12)
        pdf.cell(0, 7, fit(part["title"]), new_x="LMARGIN", new_y="NEXT")
        pdf.set_font(pdf.sheet_font, size=10)
        if not part["rows"]:
            pdf.cell(0, 6, fit(part["empty"]), new_x="LMARGIN", new_y="NEXT")
            continue
        with pdf.table(
            col_widths=_WIDTHS,
            first_row_as_headings=False,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            line_height=6,
            text_align="LEFT",
            headings_style=FontFace(),
        ) as table:
            for row in part["rows"]:
                cells = table.row()
                for text in row:
                    cells.cell(fit(text))
    pdf.output(str(target))
