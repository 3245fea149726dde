# Diving48 V2: mp4 clips, sampled as Kinetics' are; no flip, one clip in testing.
_base_ = 'kinetics400.py'

data_root = 'data/diving48'
num_classes = 48

train_pipeline = [step for step in _base_.train_pipeline if step.type != 'Flip']
val_pipeline = _base_.val_pipeline
test_pipeline = [*val_pipeline[:3], *_base_.test_view]

__videos = dict(data_root=data_root, num_classes=num_classes, data_prefix=dict(video='videos'))
__val = dict(**__videos, ann_file='diving48_val_list_videos.txt')
train_dataloader = dict(
    dataset=dict(**__videos, ann_file='diving48_train_list_videos.txt', pipeline=train_pipeline)
)
val_dataloader = dict(dataset=__val)
test_dataloader = dict(dataset=dict(**__val, pipeline=test_pipeline))
