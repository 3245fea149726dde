import json

import cv2
import pytest
from PIL import Image

from projects.motion_study.picture import PICTURE, README, Row, accuracies, draw

TEXT = """
### clean, vit-tiny, 678 steps

| arm | top-1 | lowest | highest | seeds | parameters | expected | as expected |
| --- | --- | --- | --- | --- | --- | --- | --- |
| global | 0.090 ± 0.018 | 0.070 | 0.103 | 0, 1, 2 | 258,348 (+0.1%) | below emim: x | yes |
| emim | 0.581 | 0.581 | 0.581 | 0 | 257,982 (+0.0%) | above global: y | open |

### fight, uniformer-tiny, 675 steps

| arm | top-1 | lowest | highest | seeds | parameters | expected | as expected |
| --- | --- | --- | --- | --- | --- | --- | --- |
| single-frame | 0.500 | 0.500 | 0.500 | 0 | 257,982 (+0.0%) | - | - |

### Controls

| network | forward |
| --- | --- |
| clean vit-tiny emim, 678 steps | 0.581 |
"""


def test_reads_the_tables_of_accuracies():
    assert accuracies(TEXT) == {
        'clean, vit-tiny, 678 steps': [
            Row('global', 0.09, 0.07, 0.103, 'yes'),
            Row('emim', 0.581, 0.581, 0.581, 'open'),
        ],
        'fight, uniformer-tiny, 675 steps': [Row('single-frame', 0.5, 0.5, 0.5, '-')],
    }


def test_draws_what_the_tables_say(tmp_path):
    draw(TEXT, tmp_path / 'one.png')
    draw(TEXT.replace('0.090', '0.290'), tmp_path / 'other.png')
    one, other = (cv2.imread(str(tmp_path / f'{name}.png')) for name in ('one', 'other'))
    assert one.shape == other.shape and one.std() > 5
    rows, columns = (one != other).any(-1).nonzero()
    assert 0 < len(rows) < 400 and rows.max() - rows.min() < 15  # one marker has moved


def test_text_without_tables_is_refused(tmp_path):
    with pytest.raises(ValueError, match='x.png: no table of accuracies to draw'):
        draw('# Study', tmp_path / 'x.png')


def test_the_readmes_picture_is_of_its_tables():
    with Image.open(PICTURE) as picture:
        drawn = json.loads(picture.text['Description'])
    assert drawn == json.loads(json.dumps(accuracies(README.read_text()))), (
        'draw it again: python -m projects.motion_study.picture'
    )
