# Kinetics-400, in pictures of 256 x 256.
_base_ = 'kinetics400.py'

__size = {224: 256, (224, 224): (256, 256), (-1, 224): (-1, 256)}
train_pipeline, val_pipeline, test_pipeline = (
    [
        {k: __size.get(v, v) if k in ('scale', 'crop_size') else v for k, v in step.items()}
        for step in pipeline
    ]
    for pipeline in (_base_.train_pipeline, _base_.val_pipeline, _base_.test_pipeline)
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
