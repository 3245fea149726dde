# Something-Something V2: webm clips. No flip: left and right are labels.
_base_ = 'default.py'

data_root = 'data/sthv2'
num_classes = 174
clip_len = 16
# Mirrored, one is the other: for Flip(flip_label_map=...), without which it is refused.
flip_label_map = {86: 87, 87: 86, 93: 94, 94: 93, 166: 167, 167: 166}

__open, __decode = _base_.open_video, _base_.decode_video
__sample = dict(type='UniformSample', clip_len=clip_len, num_clips=1, test_mode=True)
train_pipeline = [
    __open,
    dict(type='UniformSample', clip_len=clip_len),
    __decode,
    *_base_.train_view,
]
val_pipeline = [__open, __sample, __decode, *_base_.val_view]
test_pipeline = [__open, __sample, __decode, *_base_.test_view]

__videos = dict(
    data_root=data_root,
    data_prefix=dict(video='videos'),
    num_classes=num_classes,
    left_right=True,
)
__val = dict(**__videos, ann_file='sthv2_val_list_videos.txt')
train_dataloader = dict(
    collate_fn=dict(type='repeat_pseudo_collate'),  # batch_size counts videos
    dataset=dict(
        **__videos,
        ann_file='sthv2_train_list_videos.txt',
        num_repeats=2,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(dataset=dict(**__val, pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(**__val, pipeline=test_pipeline))
