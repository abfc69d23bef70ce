"""Flow control: which line may go on the wire now, and which line an answer belongs to."""

from drivers.flow.counting import CharacterCounting
from drivers.flow.lines import Line, Part, Program, Sent
from drivers.flow.window import NumberedWindow

__all__ = ["CharacterCounting", "Line", "NumberedWindow", "Part", "Program", "Sent"]
