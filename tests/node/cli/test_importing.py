"""`fabnode import` at a terminal."""

from __future__ import annotations


def test_a_list_is_tried_taken_and_told_row_by_row(fabnode, home, tmp_path):
    assert fabnode("init").code == 0
    good, bad = tmp_path / "people.csv", tmp_path / "bad.csv"
    good.write_text("username,first_name,last_name\nana,Ana,Berg\n")
    bad.write_text("username\nok\nno blanks please\n")
    tried = fabnode("import", "people", str(good), "--dry-run", "--json").json
    assert (tried["made"], tried["taken"]) == (1, False)
    said = fabnode("import", "people", str(good))
    assert said.code == 0
    assert "Taken: 1 new" in said.out
    wrong = fabnode("import", "people", str(bad))
    assert wrong.code == 1
    assert "bad.csv:3: login:" in wrong.err
    assert fabnode("import", "people", str(tmp_path / "missing.csv")).code == 1
    prices = tmp_path / "prices.csv"
    prices.write_text("material,per,price,currency\nPLA,kg,24.00,EUR\n")
    assert fabnode("import", "prices", str(prices), "--json").json["made"] == 1
