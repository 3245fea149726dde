"""Names of users are drawn as they are: dollars in them begin no formula."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mmaction_emim.evaluation.class_pictures import bars_figure, confusion_figure
from mmaction_emim.visualization.answers import Answer, annotated_frames, draw_sheet
from mmaction_emim.visualization.curves import Curves, plot_curves
from mmaction_emim.visualization.timeline import draw_timeline

NAMES = ['costs $5_', '$a_{$', 'x^2 \\$']
FRAME = np.zeros((8, 8, 3), np.uint8)
ANSWER = Answer('$1^$.mp4', [FRAME], [0], NAMES, [0.5, 0.3, 0.2])
DRAWN = {
    'bars': lambda: bars_figure(np.ones(3), ('mean', 1.0), NAMES, 'accuracy'),
    'confusion': lambda: confusion_figure(np.eye(3, dtype=int), np.zeros(3, int), NAMES),
    'sheet': lambda: draw_sheet([ANSWER], '$_$'),
    'video': lambda: next(annotated_frames(ANSWER)),
    'timeline': lambda: draw_timeline(np.arange(3.0), np.ones((2, 3)) / 3, NAMES),
    'curves': lambda: plot_curves([Curves(NAMES[1], [dict(step=1, loss=1.0)], [])]),
}


@pytest.mark.parametrize('kind', DRAWN)
def test_dollars(kind):
    drawn = DRAWN[kind]()
    if not isinstance(drawn, np.ndarray):
        FigureCanvasAgg(drawn).draw()
        texts = [text.get_text() for text in drawn.findobj(lambda x: hasattr(x, 'get_text'))]
        assert NAMES[1] in texts
