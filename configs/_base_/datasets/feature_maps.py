# Feature maps that tools/extract_features.py --maps wrote: what a neck and a head train on.
data_root = 'data/maps'  # train.txt, train/, val.txt, val/
num_classes = 2
grid = None  # (T, H, W) that the maps must have

__maps = dict(type='FeatureMapDataset', data_root=data_root, num_classes=num_classes, grid=grid)
__loader = dict(batch_size=32, num_workers=2, persistent_workers=True)
train_dataloader = dict(
    **__loader,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**__maps, ann_file='train.txt', data_prefix=dict(maps='train')),
)
val_dataloader = dict(
    **__loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**__maps, ann_file='val.txt', data_prefix=dict(maps='val'), test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='CheckedAccMetric')
test_evaluator = val_evaluator
