# Your own clips, listed by tools/data/own/prepare.py, which writes a config that derives from this.
_base_ = 'default.py'

data_root = 'data/own'  # train.txt, val.txt, label_map.txt
videos = ''  # what the lists' paths are relative to; '' is data_root
num_classes = 2
clip_len = 16
size = 224

pack = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs')]
train_pipeline = [
    _base_.open_video,
    dict(type='UniformSample', clip_len=clip_len),
    _base_.decode_video,
    dict(type='RandomResizedCrop', area_range=(0.4, 1.0)),
    dict(type='Resize', scale=(size, size), keep_ratio=False),
    dict(type='Flip', flip_ratio=0.5),
    *pack,
]
val_pipeline = test_pipeline = [
    _base_.open_video,
    dict(type='UniformSample', clip_len=clip_len, test_mode=True),
    _base_.decode_video,
    dict(type='Resize', scale=(-1, size)),
    dict(type='CenterCrop', crop_size=size),
    *pack,
]

__clips = dict(data_root=data_root, data_prefix=dict(video=videos), num_classes=num_classes)
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(**__clips, ann_file='train.txt', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(**__clips, ann_file='val.txt', pipeline=val_pipeline),
)
test_dataloader = val_dataloader
