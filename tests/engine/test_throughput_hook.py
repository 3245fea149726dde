import json

import numpy as np
import pytest


@pytest.mark.parametrize('window', [2, 10])
def test_mean_over_the_iterations_of_the_logged_time(train, tmp_path, window):
    processor = dict(type='LogProcessor', window_size=window)
    runner = train(custom_hooks=[dict(type='ThroughputHook')], log_processor=processor)
    seconds = runner.message_hub.get_scalar('train/time').data[0]
    clips = np.array([4, 4, 2])  # ten clips in batches of four
    log = next((tmp_path / 'work').glob('*/vis_data/scalars.json')).read_text().splitlines()
    for i, line in enumerate(map(json.loads, log)):
        of = slice(max(0, i + 1 - window), i + 1)
        assert line['clips_per_s'] == pytest.approx(clips[of].sum() / seconds[of].sum())
        assert line['clips_per_s'] * line['time'] == pytest.approx(clips[of].mean())
    assert i == 2


def test_nothing_without_a_timer(train):
    runner = train(
        custom_hooks=[dict(type='ThroughputHook')], default_hooks=dict(timer=None, logger=None)
    )
    assert not [name for name in runner.message_hub.log_scalars if 'clips_per_s' in name]
