"""The stream file holds what a machine obeys and nothing else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobs.analysis.stream import CHUNK_BYTES, bare_runs, make_stream, without_words


def test_comments_blanks_and_line_numbers_go_and_the_line_map_stays_true() -> None:
    stream = make_stream(b"; head\r\n\r\nN1 g1 x1 ; move\n(tool 3)\nN2 M105*12\n%\n  G28\n")
    assert stream.data == b"G1X1\nM105\nG28\n"
    assert stream.source_line.tolist() == [3, 5, 7]
    assert stream.source_lines == 7


def test_a_parenthesis_may_hide_a_semicolon_and_the_other_way_round() -> None:
    assert make_stream(b"G1 (a;b) X1\nG1 X2 ; (no\nG1 X3 (open\nG1 X4").data == (
        b"G1X1\nG1X2\nG1X3\nG1X4\n"
    )


def test_texts_for_people_keep_their_blanks_and_small_letters_but_only_ascii() -> None:
    stream = make_stream("m117 Layer 3 of 9 – fine ; yes\nG1 X1\nN4 M118 Hi*77\n".encode())
    assert stream.data == b"M117 Layer 3 of 9  fine\nG1X1\nM118 Hi\n"


def test_a_byte_order_mark_is_no_command() -> None:
    assert make_stream(b"\xef\xbb\xbfG28\n").data == b"G28\n"


def test_pieces_of_a_large_file_meet_without_a_seam() -> None:
    lines = 3 * CHUNK_BYTES // 10
    stream = make_stream(b"G1 X1 ;c\n\n" * lines)
    assert stream.data == b"G1X1\n" * lines
    assert np.array_equal(stream.source_line, np.arange(lines) * 2 + 1)


@given(st.binary(max_size=400))
def test_any_bytes_give_bare_lines_each_with_its_origin(data: bytes) -> None:
    stream = make_stream(data)
    lines = stream.data.split(b"\n")
    assert lines.pop() == b""
    assert b"" not in lines
    assert len(lines) == len(stream) == len(stream.source_line)
    assert (np.diff(stream.source_line.astype(np.int64)) > 0).all()
    assert all(1 <= line <= stream.source_lines for line in stream.source_line.tolist())
    assert b";" not in stream.data


@given(st.lists(st.sampled_from(["G1 X1.5", "m104 s200", "", "; c", "(c) G28", "N7 G1 Y2*33"])))
def test_a_stream_of_a_stream_is_itself(lines: list[str]) -> None:
    once = make_stream("\n".join(lines).encode())
    assert make_stream(once.data).data == once.data


def _streamed(data: bytes, dialect: str) -> bytes:
    return b"".join(run.data for run in bare_runs([data], dialect))


def test_a_halt_keeps_its_words_for_the_person_as_each_firmware_has_them() -> None:
    data = b"N5 m0 (Flip it! 100%)\nM01 S9 ; put  the\ttool in\nM0 Turn the Plate\nM30\nG1X1\n"
    assert _streamed(data, "grbl").splitlines()[:3] == [
        b"M0 (Flip it 100)",
        b"M01 S9 (put the tool in)",
        b"M0TURNTH EPLAT E",
    ]
    assert _streamed(data, "marlin").splitlines()[:3] == [b"M0", b"M01 S9", b"M0 Turn the Plate"]
    assert _streamed(data, "") == make_stream(data).data


def test_what_stands_behind_a_comment_or_before_it_is_no_word_of_a_halt() -> None:
    data = b"M0 (a) G1 X5\nM0 G1 X5 (b)\nM0 (c) (d)\nG1 X1 M0 (e)\nM00 (f) ; g\n"
    lines = _streamed(data, "grbl").splitlines()
    assert lines == [b"M0G1X5", b"M0G1X5", b"M0", b"G1X1M0", b"M00 (f)"]


_PIECE = st.sampled_from(
    b"M0,m1,M00, ,(,),;,S5,G1X5,E3,M3,\n,a,*,N1".split(b","),
)


@given(pieces=st.lists(_PIECE, max_size=12), dialect=st.sampled_from(["grbl", "marlin"]))
def test_nothing_that_a_firmware_obeys_hides_in_the_words_of_a_halt(
    pieces: list[bytes], dialect: str
) -> None:
    """What is examined is, but for blanks, what was examined before there were words."""
    data = b"".join([*pieces, b"\n"])
    [run] = bare_runs([data], dialect)
    plain = make_stream(data)
    examined = [line.replace(b" ", b"") for line in without_words(run).splitlines()]
    assert examined == [line.replace(b" ", b"") for line in plain.data.splitlines()]
    assert run.source_line.tolist() == plain.source_line.tolist()
    assert len(without_words(run)) == len(run.data)
    if dialect == "grbl":
        sent = [line.partition(b" (")[0] for line in run.data.splitlines()]
        assert [line.replace(b" ", b"") for line in sent] == examined
    again = b"".join(one.data for one in bare_runs([run.data], dialect))
    assert again == run.data
