# What the data sets share: loaders over checked lists, the metric, and EMIM's views of 224 x 224.
# Each adds its lists, its classes and how it samples frames. Names that begin with two underscores
# stay in their file.
_base_ = 'video_reader.py'

# From the decoded frames on.
train_view = [
    dict(type='RandAugment', magnitude=7, num_layers=4, magnitude_std=0.5),
    dict(type='RandomResizedCrop', area_range=(0.08, 1.0), aspect_ratio_range=(3 / 4, 4 / 3)),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(type='NoiseErasing', erase_prob=0.25),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
val_view = [
    dict(type='Resize', scale=(-1, 224)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
test_view = [val_view[0], dict(type='ThreeCrop', crop_size=224), *val_view[2:]]

train_dataloader = dict(
    batch_size=4,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CheckedVideoDataset'),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CheckedVideoDataset', test_mode=True),
)
test_dataloader = {**val_dataloader, 'batch_size': 1}
val_evaluator = dict(type='CheckedAccMetric')
test_evaluator = val_evaluator
