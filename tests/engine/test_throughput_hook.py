import json

import pytest


def test_clips_of_a_batch_over_its_time(train, tmp_path):
    runner = train(custom_hooks=[dict(type='ThroughputHook')])
    logged = [
        runner.message_hub.get_scalar(f'train/{name}').data[0] for name in ('clips_per_s', 'time')
    ]
    assert len(logged[0]) == 3  # ten clips in batches of four
    for speed, seconds, clips in zip(*logged, (4, 4, 2), strict=True):
        assert speed * seconds == pytest.approx(clips)
    log = next((tmp_path / 'work').glob('*/vis_data/scalars.json')).read_text().splitlines()
    assert json.loads(log[0])['clips_per_s'] == pytest.approx(logged[0][0])


def test_nothing_without_a_timer(train):
    runner = train(
        custom_hooks=[dict(type='ThroughputHook')], default_hooks=dict(timer=None, logger=None)
    )
    assert not [name for name in runner.message_hub.log_scalars if 'clips_per_s' in name]
