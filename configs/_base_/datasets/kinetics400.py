# Kinetics-400: mp4 clips.
_base_ = 'default.py'

data_root = 'data/kinetics400'
num_classes = 400
clip_len = 16

__sample = dict(type='SampleSpan', clip_len=clip_len, frame_interval=4)
__open, __decode = _base_.open_video, _base_.decode_video
train_pipeline = [
    __open,
    dict(**__sample, num_clips=1),
    __decode,
    *_base_.train_view[:3],
    dict(type='Flip', flip_ratio=0.5),
    *_base_.train_view[3:],
]
val_pipeline = [
    __open,
    dict(**__sample, num_clips=1, test_mode=True),
    __decode,
    *_base_.val_view,
]
test_pipeline = [
    __open,
    dict(**__sample, num_clips=4, test_mode=True),
    __decode,
    *_base_.test_view,
]

__videos = dict(data_root=data_root, num_classes=num_classes)
__train = dict(ann_file='kinetics400_train_list_videos.txt', data_prefix=dict(video='videos_train'))
__val = dict(ann_file='kinetics400_val_list_videos.txt', data_prefix=dict(video='videos_val'))
train_dataloader = dict(
    collate_fn=dict(type='repeat_pseudo_collate'),  # batch_size counts videos
    dataset=dict(**__videos, **__train, num_repeats=2, pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(**__videos, **__val, pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(**__videos, **__val, pipeline=test_pipeline))
