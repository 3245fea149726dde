"""What figures of matplotlib's have in common."""

from matplotlib import rc_context

# A decorator of what draws names that users gave: dollars in them begin no formula.
as_written = rc_context({'text.parse_math': False})
