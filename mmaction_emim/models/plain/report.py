"""What was put where, and the parameters that it added."""

from typing import NamedTuple


class Report(NamedTuple):
    """Of one call; printed as a table.

    Attributes:
        title: What was done, to which model.
        rows: (layer, module, parameters added) of each place.
        total: Parameters of the model afterwards.
    """

    title: str
    rows: list[tuple[str, str, int]]
    total: int

    def __str__(self) -> str:
        added = sum(n for _, _, n in self.rows)
        table = [('layer', 'module', 'parameters added')]
        table += [(layer, module, f'{n:+,}') for layer, module, n in self.rows]
        table += [(f'{len(self.rows)} layers', '', f'{added:+,} (of {self.total:,})')]
        widths = [max(len(row[i]) for row in table) for i in range(3)]
        lines = ['  '.join(x.ljust(n) for x, n in zip(row, widths, strict=True)) for row in table]
        return '\n'.join([self.title, *(line.rstrip() for line in lines)])
